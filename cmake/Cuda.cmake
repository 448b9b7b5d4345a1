# The CUDA backend: built where there is a compiler for it, unless TREENET_CUDA says otherwise. It joins the CPU's in one
# extension, which loads on machines without a driver, too.
set(TREENET_CUDA "AUTO" CACHE STRING "Build the CUDA backend: AUTO (where nvcc is found), ON (or fail) or OFF")
set_property(CACHE TREENET_CUDA PROPERTY STRINGS AUTO ON OFF)
option(TREENET_CUDA_ALL "Compile for all GPUs that a wheel is to serve, instead of the two most used in servers" OFF)

set(TREENET_HAVE_CUDA OFF)
if(TREENET_CUDA)
  # Machine code of an architecture runs on the later ones of its major version, all others have the driver compile the
  # PTX. That is of 8.0, the oldest that has the kernels' instructions, because it has to serve GPUs of version 8, too:
  # Jetson Orin (8.7) runs no other GPU's machine code.
  if(NOT CMAKE_CUDA_ARCHITECTURES AND "$ENV{CUDAARCHS}" STREQUAL "")
    set(CMAKE_CUDA_ARCHITECTURES 80 90-real)
    if(TREENET_CUDA_ALL)  # CUDA 12.8 or later
      set(CMAKE_CUDA_ARCHITECTURES 80 86-real 89-real 90-real 100-real 120-real)
    endif()
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    set(problem "no CUDA compiler that works was found: put nvcc into PATH, or set CMAKE_CUDA_COMPILER")
  else()
    enable_language(CUDA)
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.0)
      set(problem "${CMAKE_CUDA_COMPILER} is of CUDA ${CMAKE_CUDA_COMPILER_VERSION}; C++20 needs 12.0 or later")
    else()
      find_package(CUDAToolkit REQUIRED)
      set(TREENET_HAVE_CUDA ON)
    endif()
  endif()
  if(TREENET_HAVE_CUDA)
    message(STATUS "CUDA backend: for ${CMAKE_CUDA_ARCHITECTURES}")
  elseif(TREENET_CUDA STREQUAL "AUTO")
    message(STATUS "CUDA backend: none, as ${problem}")
  else()
    message(FATAL_ERROR "TREENET_CUDA=${TREENET_CUDA}, but ${problem}")
  endif()
endif()

# A library that is compiled only for what links it.
function(treenet_add_cuda target)
  file(GLOB sources CONFIGURE_DEPENDS csrc/cuda/*.cpp csrc/cuda/*.cu)
  add_library(${target} STATIC EXCLUDE_FROM_ALL ${sources})
  target_link_libraries(${target} PUBLIC treenet_codec CUDA::cudart_static)
  set_target_properties(${target} PROPERTIES
    CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON CUDA_EXTENSIONS OFF CUDA_VISIBILITY_PRESET hidden)
  # SPEC §1: no contraction on the device or on the host, and none of what --use_fast_math does. ptxas reports what each
  # kernel uses, which tests/cuda_resources.py reads.
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:--fmad=false -Xcompiler=-ffp-contract=off -Xptxas=-v>
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wno-missing-field-initializers>)
endfunction()
