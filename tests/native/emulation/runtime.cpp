// csrc/cuda/runtime.h on the host: one device, whose memory is the host's and whose streams are done at once.
#include "cuda/runtime.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "codec/error.h"
#include "codec/process.h"
#include "emulation/emulation.h"
#include "emulation/stream.h"

namespace treenet::cuda {
namespace {

using Recording = std::vector<std::function<void()>>;

struct StreamState {
  Recording* recording = nullptr;  // where work goes instead of being done
};

// That of a stream which records; null of all others.
Recording* recording(StreamHandle stream) {
  return stream == nullptr ? nullptr : static_cast<const StreamState*>(stream)->recording;
}

constexpr std::align_val_t kAlignment{256};

std::atomic<bool> busy{false};
std::atomic<std::size_t> memory{std::size_t{1} << 30}, in_use{0};
std::atomic<int> multiprocessors{4};

// Exactly as many bytes as asked for, so that the address sanitizer finds what goes beyond.
std::shared_ptr<void> allocate(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  void* const data = ::operator new(bytes, kAlignment);
  std::memset(data, emulation::kPoison, bytes);
  return {data, [](void* memory) { ::operator delete(memory, kAlignment); }};
}

std::shared_ptr<void> allocate_on_device(std::size_t bytes) {
  if (in_use.fetch_add(bytes) + bytes > memory) {
    in_use -= bytes;
    throw Error(ErrorCode::kDeviceMemory, "no " + std::to_string(bytes) + " bytes of memory on the emulated device");
  }
  std::shared_ptr<void> data = allocate(bytes);
  void* const address = data.get();
  return {address, [data = std::move(data), bytes, origin = Origin()](void*) {
            if (origin.is_forked_child()) std::abort();  // as CUDA may
            in_use -= bytes;
          }};
}

void copy(void* to, const void* from, std::size_t bytes, StreamHandle stream) {
  if (bytes == 0) return;
  emulation::submit(stream, [=] { std::memcpy(to, from, bytes); });
}

void check_device(int device) {
  if (device != 0) throw Error(ErrorCode::kBackend, "no CUDA device " + std::to_string(device) + ": there is one, 0");
}

}  // namespace

void emulation::submit(StreamHandle stream, std::function<void()> work) {
  if (Recording* const steps = recording(stream)) {
    steps->push_back(std::move(work));
  } else {
    work();
  }
}

void emulation::set_busy(bool value) { busy = value; }
void emulation::set_memory(std::size_t bytes) { memory = bytes; }
std::size_t emulation::memory_in_use() { return in_use; }
void emulation::set_multiprocessors(int count) { multiprocessors = count; }

int device_count(std::string&) { return 1; }

DeviceProperties device_properties(int device) {
  check_device(device);
  return {"emulated", 9, 0, multiprocessors, memory};
}

DeviceGuard::DeviceGuard(int device) { check_device(device); }
DeviceGuard::DeviceGuard(int, std::nothrow_t) noexcept {}
DeviceGuard::~DeviceGuard() = default;

DeviceBuffer::DeviceBuffer(std::size_t bytes) : data_(allocate_on_device(bytes)), size_(bytes) {}

PinnedBuffer::PinnedBuffer(std::size_t bytes) : data_(allocate(bytes)), size_(bytes) {}

Stream::Stream() : handle_(new StreamState) {}
Stream::~Stream() { delete static_cast<StreamState*>(handle_); }

void copy_to_device(void* to, const void* from, std::size_t bytes, StreamHandle stream) {
  copy(to, from, bytes, stream);
}

void copy_to_host(void* to, const void* from, std::size_t bytes, StreamHandle stream) { copy(to, from, bytes, stream); }

void fill_zero(void* to, std::size_t bytes, StreamHandle stream) {
  if (bytes == 0) return;
  emulation::submit(stream, [=] { std::memset(to, 0, bytes); });
}

void wait(StreamHandle stream) {
  if (recording(stream) != nullptr) throw Error(ErrorCode::kBackend, "wait for a stream that is recorded");
}

// Streams are done at once, whatever events say.
Event::Event() : handle_(new bool(false)) {}
Event::~Event() { delete static_cast<bool*>(handle_); }
void Event::record(StreamHandle stream) {
  if (recording(stream) != nullptr) throw Error(ErrorCode::kBackend, "an event in a stream that is recorded");
  *static_cast<bool*>(handle_) = busy;
}
bool Event::passed() const { return !*static_cast<bool*>(handle_); }
void Event::wait() const { *static_cast<bool*>(handle_) = false; }
void Event::settle() const noexcept { wait(); }

struct Graph::State {
  Recording steps;
};

Graph::Graph(const std::function<void(StreamHandle)>& work) : state_(std::make_unique<State>()) {
  StreamState stream{&state_->steps};
  work(&stream);
}

Graph::~Graph() = default;

void Graph::launch(StreamHandle stream) const {
  for (const auto& step : state_->steps) emulation::submit(stream, step);
}

}  // namespace treenet::cuda
