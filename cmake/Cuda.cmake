# The CUDA backend: built where a CUDA compiler is found, unless TREENET_CUDA says otherwise. cudart is linked statically, so
# that the extension loads on machines without CUDA.
set(TREENET_CUDA "AUTO" CACHE STRING "Build the CUDA backend: AUTO (where nvcc is found), ON or OFF")
option(TREENET_CUDA_ALL "Compile for all architectures that a wheel is to have" OFF)

set(TREENET_HAVE_CUDA OFF)
if(NOT TREENET_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    set(TREENET_HAVE_CUDA ON)
  elseif(NOT TREENET_CUDA STREQUAL "AUTO")
    message(FATAL_ERROR "TREENET_CUDA=${TREENET_CUDA}, but no CUDA compiler was found: put nvcc into PATH, or set CMAKE_CUDA_COMPILER")
  endif()
endif()

function(treenet_add_cuda target)
  file(GLOB sources CONFIGURE_DEPENDS csrc/cuda/*.cpp csrc/cuda/*.cu)
  add_library(${target} STATIC ${sources})
  target_link_libraries(${target} PUBLIC treenet_codec PRIVATE CUDA::cudart_static)
  set_target_properties(${target} PROPERTIES CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON CUDA_RUNTIME_LIBRARY Static)
  # SPEC §1: no contraction, and none of what --use_fast_math does. The compiler's report says what each kernel uses.
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:--fmad=false -Xptxas=-v>
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wno-missing-field-initializers>)
endfunction()

if(TREENET_HAVE_CUDA)
  # Machine code for Ampere and Hopper data-centre GPUs, and PTX that the driver compiles for all others from 8.0 on.
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    if(TREENET_CUDA_ALL)
      set(CMAKE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90-real 100-real 120)
    else()
      set(CMAKE_CUDA_ARCHITECTURES 80 90-real)
    endif()
  endif()
  enable_language(CUDA)
  find_package(CUDAToolkit REQUIRED)
endif()
