// What a backend does for the codec: the transforms and the bottlenecks' networks (SPEC §4 to §6). The codec owns the
// order of steps, symbols and bytes; a backend owns how a step runs.
#pragma once

#include <cstdint>
#include <span>

#include "codec/tensor.h"
#include "codec/thread_pool.h"

namespace treenet {

// 8-bit RGB, dense [height, width, 3].
struct ImageView {
  const std::uint8_t* data;
  int height, width;
};

// Which positions of a latent (SPEC §5): row + column even, or odd.
enum class Parity { kAnchors = 0, kOthers = 1 };

// One image at a time goes through a backend; any number of them may do so at once.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual const char* name() const = 0;
  virtual BufferPool& buffers() = 0;
  virtual ThreadPool& threads() = 0;

  // Analysis and gain: the latents Y (s16 x 32) of an image whose sides are multiples of 16.
  virtual Latents analyse(const ImageView& image, int quality, Trace* trace) = 0;
  // The hyper-latents Z (s16 x 32).
  virtual Latents hyper_analyse(const Latents& latents) = 0;
  // psi (s16 x 64), not cropped.
  virtual Latents hyper_synthesise(const Latents& hyper_latents) = 0;
  // Means (s16 x 32) and scale indices (u8 x 32) at the positions of one parity, from psi and the decoded anchors.
  virtual void parameters(const Latents& psi, const Latents& decoded, Parity parity, Latents& mean, Latents& index) = 0;
  // Gain and synthesis: writes the top left height x width pixels, dense RGB, of the decoded latents.
  virtual void synthesise(const Latents& decoded, int quality, int height, int width, std::uint8_t* pixels,
                          Trace* trace) = 0;
};

}  // namespace treenet
