// A backend that takes several images at once, as that of a device does, made of one that takes them one by one. It
// also checks that the codec keeps to what codec/backend.h says.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "codec/backend.h"
#include "codec/error.h"

namespace treenet::testing {

class BatchingBackend final : public Backend {
 public:
  BatchingBackend(std::unique_ptr<Backend> single, int max_batch) : single_(std::move(single)), max_batch_(max_batch) {}

  const char* name() const override { return "batching"; }
  ThreadPool& threads() override { return single_->threads(); }
  const CoderLoops& coder_loops() const override { return single_->coder_loops(); }
  int max_batch(const Geometry&) const override { return max_batch_; }

  std::unique_ptr<Encoding> encode(const Geometry& geometry, std::span<const ImageView> images, int quality,
                                   const Call& call) override {
    check_count(images.size());
    if (held == memory_for) throw Error(ErrorCode::kDeviceMemory, "no room for another batch");
    log.push_back("encode " + std::to_string(images.size()));
    auto batch = std::make_unique<BatchEncoding>(*this);
    for (const ImageView& image : images)
      batch->images.push_back(single_->encode(geometry, {&image, 1}, quality, call));
    return batch;
  }

  std::unique_ptr<Decoding> decode(const Geometry& geometry, std::span<const int> qualities,
                                   const Call& call) override {
    check_count(qualities.size());
    log.push_back("decode " + std::to_string(qualities.size()));
    auto batch = std::make_unique<BatchDecoding>();
    batch->segments = geometry.segments.size();
    for (const int& quality : qualities) batch->images.push_back(single_->decode(geometry, {&quality, 1}, call));
    return batch;
  }

  void release() override { single_->release(); }

  std::vector<std::string> log;  // what has been asked for
  int memory_for = 1000;         // encodings at once
  int held = 0;                  // of these

 private:
  struct BatchEncoding final : Encoding {
    explicit BatchEncoding(BatchingBackend& backend) : backend(backend) { ++backend.held; }
    ~BatchEncoding() override { --backend.held; }
    void wait() override {
      backend.log.push_back("wait");
      for (const auto& image : images) image->wait();
      waited = true;
    }
    StageSymbols stage(int image, int segment, Stage stage) const override {
      CHECK(waited);
      return images.at(image)->stage(0, segment, stage);
    }
    BatchingBackend& backend;
    std::vector<std::unique_ptr<Encoding>> images;
    bool waited = false;
  };

  struct BatchDecoding final : Decoding {
    void prepare(Stage stage) override {
      check_whole(stage);
      for (const auto& image : images) image->prepare(stage);
    }
    StageRoom open(int image, int segment) override {
      ++opened;
      return images.at(image)->open(0, segment);
    }
    void close(int image, int segment) override {
      ++closed;
      images.at(image)->close(0, segment);
    }
    void finish(std::span<const PixelsOut> pixels) override {
      check_whole(kStages);
      CHECK_EQUAL(pixels.size(), images.size());
      for (std::size_t i = 0; i < images.size(); ++i) images[i]->finish(pixels.subspan(i, 1));
    }
    // As many stages are done as have been prepared.
    void check_whole(int stages) {
      const std::size_t expected = images.size() * segments * static_cast<std::size_t>(stages);
      CHECK_EQUAL(opened.load(), expected);
      CHECK_EQUAL(closed.load(), expected);
    }
    std::vector<std::unique_ptr<Decoding>> images;
    std::size_t segments = 0;
    std::atomic<std::size_t> opened = 0, closed = 0;
  };

  void check_count(std::size_t images) const { CHECK(images >= 1 && images <= static_cast<std::size_t>(max_batch_)); }

  const std::unique_ptr<Backend> single_;
  const int max_batch_;
};

}  // namespace treenet::testing
