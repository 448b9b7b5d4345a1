#include "convolutions.h"

#include <map>

#include "codec/error.h"

namespace treenet::benchmarks {

const Convolutions& convolutions_for(const std::string& isa) {
  static const std::map<std::string, const Convolutions*> tables = {{"scalar", convolutions_scalar},
                                                                    {"avx2", convolutions_avx2},
                                                                    {"avx512vnni", convolutions_avx512vnni},
                                                                    {"amx", convolutions_amx}};
  const Convolutions* const table = tables.at(isa);
  if (table == nullptr) throw Error(ErrorCode::kBackend, "the benchmarks were built without '" + isa + "'");
  return *table;
}

}  // namespace treenet::benchmarks
