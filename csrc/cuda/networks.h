// The networks as launches on a batch's memory (SPEC §4 to §6), in the order in which they run.
#pragma once

#include <string>

#include "codec/trace.h"
#include "cuda/packed_model.h"
#include "cuda/space.h"

namespace treenet::cuda {

// Where launches go, and where their results go too if a trace is wanted: then each is waited for.
struct Run {
  StreamHandle stream;
  Trace* trace = nullptr;
};

class Networks {
 public:
  // `multiprocessors`: of the device that is current.
  Networks(const Model& model, int multiprocessors) : packed_(model), multiprocessors_(multiprocessors) {}

  // Pixels to all symbols.
  void encode(const Space& space, const Run& run) const;
  // Hyper-latents' symbols to the anchors' tables; anchors' symbols to the others' tables; others' symbols to pixels.
  void decode_hyper_latents(const Space& space, const Run& run) const;
  void decode_anchors(const Space& space, const Run& run) const;
  void decode_others(const Space& space, const Run& run) const;

 private:
  void analyse(const Space& space, const Run& run) const;
  void hyper_analyse(const Space& space, const Run& run) const;
  void hyper_synthesise(const Space& space, const Run& run) const;
  void parameters(const Space& space, int parity, const Run& run) const;
  void synthesise(const Space& space, const Run& run) const;
  SymbolParameters symbols(const Space& space, int parity) const;

  const PackedModel packed_;
  const int multiprocessors_;
};

}  // namespace treenet::cuda
