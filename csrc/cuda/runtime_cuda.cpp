#include <cuda.h>
#include <cuda_runtime_api.h>

#include <new>
#include <string>

#include "codec/error.h"
#include "cuda/launch.h"
#include "cuda/runtime.h"

namespace treenet::cuda {
namespace {

[[noreturn]] void fail(const std::string& what, cudaError_t error) {
  const ErrorCode code = error == cudaErrorMemoryAllocation ? ErrorCode::kDeviceMemory : ErrorCode::kBackend;
  throw Error(code, "CUDA: " + what + ": " + cudaGetErrorString(error));
}

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // an error that is reported is not to be found again by the next check
  fail(what, error);
}

std::string version_name(int version) {
  return "CUDA " + std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// Why no device can be used.
std::string reason(cudaError_t error) {
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  cudaGetLastError();
  if (driver == 0) return "no NVIDIA driver was found";
  switch (error) {
    case cudaSuccess:
    case cudaErrorNoDevice:
      return "there is none";
    case cudaErrorInsufficientDriver:
      return "the NVIDIA driver is for " + version_name(driver) + ", and this build is for " + version_name(runtime) +
             ": install a newer driver";
    case cudaErrorInitializationError:
      return std::string("CUDA does not start; ") + kForkHelp;
    default:
      return cudaGetErrorString(error);
  }
}

// A function of the driver, which is no library to link with: machines without a GPU lack it.
void* driver_function(const char* name) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
#if CUDART_VERSION >= 12050
  check(cudaGetDriverEntryPointByVersion(name, &function, 12000, cudaEnableDefault, &found), name);
#else
  check(cudaGetDriverEntryPoint(name, &function, cudaEnableDefault, &found), name);
#endif
  if (found != cudaDriverEntryPointSuccess) throw Error(ErrorCode::kBackend, std::string("the driver lacks ") + name);
  return function;
}

// Which context is current in a thread. The runtime knows only devices, and names device 0 where there is none.
struct Contexts {
  CUresult (*get)(CUcontext*) = reinterpret_cast<decltype(get)>(driver_function("cuCtxGetCurrent"));
  CUresult (*set)(CUcontext) = reinterpret_cast<decltype(set)>(driver_function("cuCtxSetCurrent"));
};
const Contexts& contexts() {
  static const Contexts functions;
  return functions;
}

CUcontext current_context() {
  CUcontext context = nullptr;
  contexts().get(&context);  // where it fails, so does choosing a device
  return context;
}

cudaStream_t stream_of(StreamHandle handle) { return static_cast<cudaStream_t>(handle); }

}  // namespace

int device_count(std::string& why) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return count;
  why = reason(error);
  return 0;
}

DeviceProperties device_properties(int device) {
  cudaDeviceProp p;
  check(cudaGetDeviceProperties(&p, device), "the device's properties");
  return {.name = p.name,
          .major = p.major,
          .minor = p.minor,
          .multiprocessors = p.multiProcessorCount,
          .memory_bytes = p.totalGlobalMem};
}

DeviceGuard::DeviceGuard(int device) : previous_(current_context()) {
  check(cudaSetDevice(device), "choosing the device");
}
DeviceGuard::DeviceGuard(int device, std::nothrow_t) noexcept : previous_(current_context()) { cudaSetDevice(device); }
DeviceGuard::~DeviceGuard() { contexts().set(static_cast<CUcontext>(previous_)); }

DeviceBuffer::DeviceBuffer(std::size_t bytes) : size_(bytes) {
  void* data = nullptr;
  const cudaError_t error = cudaMalloc(&data, bytes);
  if (error != cudaSuccess) {
    cudaGetLastError();
    fail("allocating " + std::to_string(bytes >> 20) + " MiB of the device's memory", error);
  }
  data_ = {data, [](void* memory) { cudaFree(memory); }};
}

PinnedBuffer::PinnedBuffer(std::size_t bytes) : size_(bytes) {
  void* data = nullptr;
  const cudaError_t error = cudaHostAlloc(&data, bytes, cudaHostAllocPortable);
  if (error != cudaSuccess) {
    cudaGetLastError();
    fail("allocating " + std::to_string(bytes >> 20) + " MiB of page-locked memory", error);
  }
  data_ = {data, [](void* memory) { cudaFreeHost(memory); }};
}

Stream::Stream() {
  cudaStream_t stream = nullptr;
  int least = 0, greatest = 0;
  check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "the priorities of streams");
  check(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, greatest), "making a stream");
  handle_ = stream;
}
Stream::~Stream() { cudaStreamDestroy(stream_of(handle_)); }

void copy_to_device(void* to, const void* from, std::size_t bytes, StreamHandle stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_of(stream)), "copying to the device");
}
void copy_to_host(void* to, const void* from, std::size_t bytes, StreamHandle stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_of(stream)), "copying to the host");
}
void fill_zero(void* to, std::size_t bytes, StreamHandle stream) {
  check(cudaMemsetAsync(to, 0, bytes, stream_of(stream)), "clearing memory");
}
void wait(StreamHandle stream) { check(cudaStreamSynchronize(stream_of(stream)), "running the kernels"); }

Event::Event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "making an event");
  handle_ = event;
}
Event::~Event() { cudaEventDestroy(static_cast<cudaEvent_t>(handle_)); }
void Event::record(StreamHandle stream) {
  check(cudaEventRecord(static_cast<cudaEvent_t>(handle_), stream_of(stream)), "recording an event");
}
bool Event::passed() const {
  const cudaError_t error = cudaEventQuery(static_cast<cudaEvent_t>(handle_));
  if (error == cudaErrorNotReady) {
    cudaGetLastError();
    return false;
  }
  check(error, "running the kernels");
  return true;
}

void Event::wait() const { check(cudaEventSynchronize(static_cast<cudaEvent_t>(handle_)), "running the kernels"); }
void Event::settle() const noexcept { cudaEventSynchronize(static_cast<cudaEvent_t>(handle_)); }

struct Graph::State {
  cudaGraphExec_t exec = nullptr;
};

Graph::Graph(const std::function<void(StreamHandle)>& work) : state_(std::make_unique<State>()) {
  const Stream stream;
  const cudaStream_t handle = stream_of(stream.handle());
  // Other threads may allocate meanwhile; `work` may not.
  check(cudaStreamBeginCapture(handle, cudaStreamCaptureModeThreadLocal), "recording kernels");
  cudaGraph_t graph = nullptr;
  try {
    work(stream.handle());
  } catch (...) {
    cudaStreamEndCapture(handle, &graph);
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaGetLastError();
    throw;
  }
  check(cudaStreamEndCapture(handle, &graph), "recording kernels");
  const cudaError_t error = cudaGraphInstantiate(&state_->exec, graph, 0);
  cudaGraphDestroy(graph);
  check(error, "making a graph of kernels");
}
Graph::~Graph() {
  if (state_->exec != nullptr) cudaGraphExecDestroy(state_->exec);
}
void Graph::launch(StreamHandle stream) const {
  check(cudaGraphLaunch(state_->exec, stream_of(stream)), "launching the kernels");
}

void prepare_kernel(const void* kernel, std::size_t shared_bytes) {
  constexpr std::size_t kWithoutAsking = 48 << 10;
  if (shared_bytes <= kWithoutAsking) return;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
        "a kernel's shared memory");
}
void check_launch() { check(cudaGetLastError(), "launching a kernel"); }

}  // namespace treenet::cuda
