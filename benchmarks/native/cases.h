// The kernels of the codec one by one, each on random data of the size that an image gives it and on one thread, as the
// networks run it there (cpu/networks.cpp), and the convolutions of residual blocks alone (convolutions.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace treenet::benchmarks {

// What one run of a kernel has to multiply. The paper counts the weights and biases of convolutions at every position:
// 25 taps of the context at all of them, and no normalisation. The products are those that this codec needs for it, by
// the type of the numbers that are multiplied.
struct Work {
  double macs = 0, u8 = 0, s16 = 0;
};

class Case {
 public:
  // Throws Error(kBackend) if `isa` is not usable here, Error(kInvalidArgument) for an unknown name and for sides that
  // are no multiples of 64, at which the hyper-latents' sizes would be rounded.
  Case(const std::string& isa, const std::string& name, int height, int width);
  ~Case();

  void run() const { run_(); }
  // As the paper counts them.
  double macs() const { return work_.macs; }
  // In the unit of the multiply peak: where u8 is multiplied as such, an s16 takes the place of two.
  double products() const { return products_; }
  // How many of it an image's compression or decompression has.
  int count() const { return count_; }

 private:
  friend class Builder;
  struct Parts;

  std::unique_ptr<Parts> parts_;
  std::function<void()> run_;
  Work work_;
  double products_ = 0;
  int count_ = 1;
};

// Convolutions by themselves (convolutions.h), then the kernels in the order in which compressing and decompressing run
// them.
std::vector<std::string> case_names();

}  // namespace treenet::benchmarks
