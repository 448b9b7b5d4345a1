# Flags for the files of one instruction set, where the compiler and the target have it. Everything else is built for the
# platform's baseline, and csrc/cpu/dispatch.cpp chooses at run time.
include(CheckCXXSourceCompiles)

# `TREENET_PROBE_<ISA>`, where it is set, is a statement that has to be assembled, too.
function(treenet_add_isa target isa source)
  set(flags ${ARGN})
  string(TOUPPER ${isa} name)
  string(REPLACE ";" " " flags_text "${flags}")
  string(GENEX_STRIP "${flags_text}" flags_text)
  set(CMAKE_REQUIRED_FLAGS "${flags_text}")
  check_cxx_source_compiles("
    #if !defined(__x86_64__)
    #error other target
    #endif
    #include <immintrin.h>
    int main() { ${TREENET_PROBE_${name}} return 0; }" TREENET_COMPILES_${name})
  if(TREENET_COMPILES_${name})
    set_source_files_properties(${source} PROPERTIES
      COMPILE_OPTIONS "${flags}"
      COMPILE_DEFINITIONS "TREENET_HAVE_${name}=1")
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    message(WARNING "this compiler cannot build the ${isa} kernels (${flags_text}); the package will do without them")
  endif()
endfunction()
