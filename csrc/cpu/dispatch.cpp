// Compiled without instruction-set flags: it runs on every machine.
#include "cpu/dispatch.h"

#include <cstdint>

#include "codec/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#define TREENET_X86 1
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace treenet::cpu {
namespace {

struct Features {
  bool avx2 = false, avx512vnni = false, amx = false;
};

#if defined(TREENET_X86)
// XCR0 tells which registers the operating system saves.
unsigned long long enabled_state() {
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<unsigned long long>(high) << 32) | low;
}

// Linux gives AMX's registers only to a process that asks for them, for all of its threads and for good; the frames of
// its signal handlers are larger from then on. So whether it would give them is another question.
constexpr int kTileData = 18;  // XFEATURE_XTILE_DATA
bool system_has_tiles() {
#if defined(__linux__)
  constexpr long kGetSupported = 0x1021;  // ARCH_GET_XCOMP_SUPP
  std::uint64_t supported = 0;
  return syscall(SYS_arch_prctl, kGetSupported, &supported) == 0 && (supported >> kTileData & 1) != 0;
#else
  return false;
#endif
}
bool system_gives_tiles() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  return syscall(SYS_arch_prctl, kRequestPermission, static_cast<long>(kTileData)) == 0;
#else
  return false;
#endif
}

Features detect() {
  unsigned a, b, c, d;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0) return {};
  if ((c & bit_PCLMUL) == 0) return {};
  const unsigned long long state = enabled_state();
  constexpr unsigned long long kYmm = 0x06, kZmm = 0xE6, kTiles = 0x60000;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return {};
  constexpr unsigned kAvx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
  constexpr unsigned kAmx = 1u << 24 | 1u << 25;  // of EDX: AMX-TILE and AMX-INT8
  Features features;
  features.avx2 = (state & kYmm) == kYmm && (b & bit_AVX2) != 0;
  features.avx512vnni = (state & kZmm) == kZmm && (b & kAvx512) == kAvx512 && (c & bit_AVX512VNNI) != 0;
  features.amx = features.avx512vnni && (state & kTiles) == kTiles && (d & kAmx) == kAmx && system_has_tiles();
  return features;
}
#else
Features detect() { return {}; }
bool system_gives_tiles() { return false; }
#endif

struct Path {
  const KernelTable* table;  // null where the build lacks it
  const char* name;
  bool runs;
};

std::vector<Path> paths() {
  static const Features features = detect();
  return {{kernels_scalar, "scalar", true},
          {kernels_avx2, "avx2", features.avx2},
          {kernels_avx512vnni, "avx512vnni", features.avx512vnni},
          {kernels_amx, "amx", features.amx}};
}

}  // namespace

std::vector<std::string> usable_isas() {
  std::vector<std::string> names;
  for (const Path& path : paths()) {
    if (path.table != nullptr && path.runs) names.push_back(path.name);
  }
  return names;
}

void prepare(const std::string& isa) {
  if (isa != "amx") return;
  static const bool given = system_gives_tiles();
  if (!given) {
    throw Error(
        ErrorCode::kBackend,
        "the system does not give this process the registers that instruction set 'amx' needs; use another one");
  }
}

std::string fastest_isa() {
  const std::vector<std::string> usable = usable_isas();
  for (auto isa = usable.rbegin();; ++isa) {
    try {
      prepare(*isa);
      return *isa;
    } catch (const Error&) {
      // The next one needs less of the system; the last, scalar, nothing.
    }
  }
}

const KernelTable& kernels_for(const std::string& isa) {
  std::string usable;
  for (const std::string& name : usable_isas()) usable += (usable.empty() ? "" : ", ") + name;
  for (const Path& path : paths()) {
    if (isa != path.name) continue;
    if (path.table != nullptr && path.runs) return *path.table;
    throw Error(ErrorCode::kBackend, "instruction set '" + isa + "' is not available " +
                                         (path.table == nullptr ? "in this build" : "on this machine") +
                                         "; usable here: " + usable);
  }
  throw Error(ErrorCode::kBackend, "unknown instruction set '" + isa + "'; usable here: " + usable);
}

}  // namespace treenet::cpu
