#include "convolutions.h"

#include <map>

namespace treenet::benchmarks {

const Convolutions& convolutions_for(const std::string& isa) {
  static const std::map<std::string, const Convolutions*> tables = {{"scalar", convolutions_scalar},
                                                                    {"avx2", convolutions_avx2},
                                                                    {"avx512vnni", convolutions_avx512vnni},
                                                                    {"amx", convolutions_amx}};
  return *tables.at(isa);
}

}  // namespace treenet::benchmarks
