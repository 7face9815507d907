#include "classifier.h"

#include <fstream>
#include <iterator>
#include <stdexcept>

#include "contract.h"
#include "tensors.h"

namespace classifier {
namespace {

void check(LiteRtStatus status, const char* what) {
  if (status != 0) throw std::runtime_error(std::string(what) + ": LiteRT's status " + std::to_string(status));
}

}  // namespace

Classifier::Classifier(const std::string& path) {
  try {
    make(path);
  } catch (...) {
    release();
    throw;
  }
}

Classifier::~Classifier() { release(); }

void Classifier::make(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  content_.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  if (content_.size() != kModelBytes) throw std::runtime_error(path + " is not the model that this was made of");

  check(LiteRtCreateEnvironment(0, nullptr, &environment_), "environment");
  check(LiteRtCreateModelFromBuffer(environment_, content_.data(), content_.size(), &model_), "model");
  check(LiteRtCreateOptions(&options_), "options");
  check(LiteRtSetOptionsHardwareAccelerators(options_, kLiteRtHwAcceleratorCpu), "processor");
  check(LiteRtCreateCompiledModel(environment_, model_, options_, &compiled_), "compiled model");

  LiteRtSubgraph graph;
  LiteRtTensor tensor;
  LiteRtTensorBufferRequirements requirements;
  check(LiteRtGetModelSubgraph(model_, 0, &graph), "graph");
  check(LiteRtGetSubgraphInput(graph, 0, &tensor), "input");
  check(LiteRtGetCompiledModelInputBufferRequirements(compiled_, 0, 0, &requirements), "input");
  input_ = buffer(tensor, requirements, bytes_of(kInputType, 3 * kPixels));
  check(LiteRtGetSubgraphOutput(graph, 0, &tensor), "output");
  check(LiteRtGetCompiledModelOutputBufferRequirements(compiled_, 0, 0, &requirements), "output");
  output_ = buffer(tensor, requirements, bytes_of(kOutputType, kClasses));
}

LiteRtTensorBuffer Classifier::buffer(LiteRtTensor tensor, LiteRtTensorBufferRequirements requirements,
                                      std::size_t bytes) {
  LiteRtRankedTensorType type = {};
  LiteRtTensorBuffer made = nullptr;
  check(LiteRtGetRankedTensorType(tensor, &type), "type of a tensor");
  check(LiteRtCreateManagedTensorBufferFromRequirements(environment_, &type, requirements, &made), "buffer");
  std::size_t found = 0;
  if (LiteRtGetTensorBufferPackedSize(made, &found) != 0 || found != bytes) {
    LiteRtDestroyTensorBuffer(made);
    throw std::runtime_error("a tensor has another size than expected");
  }
  return made;
}

std::vector<float> Classifier::probabilities(const Picture& picture) {
  const Picture ready = prepared(picture, kSteps, kStepCount);
  void* address = nullptr;
  check(LiteRtLockTensorBuffer(input_, &address, kLiteRtTensorBufferLockModeWrite), "input");
  enter(ready.rgb.data(), address);
  check(LiteRtUnlockTensorBuffer(input_), "input");
  check(LiteRtRunCompiledModel(compiled_, 0, 1, &input_, 1, &output_), "run");
  check(LiteRtLockTensorBuffer(output_, &address, kLiteRtTensorBufferLockModeRead), "output");
  std::vector<float> found;
  for (int index = 0; index < kClasses; ++index) found.push_back(probability(address, index));
  check(LiteRtUnlockTensorBuffer(output_), "output");
  return found;
}

void Classifier::release() {
  if (input_ != nullptr) LiteRtDestroyTensorBuffer(input_);
  if (output_ != nullptr) LiteRtDestroyTensorBuffer(output_);
  if (compiled_ != nullptr) LiteRtDestroyCompiledModel(compiled_);
  if (options_ != nullptr) LiteRtDestroyOptions(options_);
  if (model_ != nullptr) LiteRtDestroyModel(model_);
  if (environment_ != nullptr) LiteRtDestroyEnvironment(environment_);
}

}  // namespace classifier
