// The model in LiteRT, on the processor.
#ifndef CLASSIFIER_CLASSIFIER_H_
#define CLASSIFIER_CLASSIFIER_H_

#include <string>
#include <vector>

#include "litert_c.h"
#include "resample.h"

namespace classifier {

class Classifier {
 public:
  // Loads a model file. Throws std::runtime_error for one that cannot be read, or that is not the expected one.
  explicit Classifier(const std::string& path);
  ~Classifier();
  Classifier(const Classifier&) = delete;
  Classifier& operator=(const Classifier&) = delete;

  // A probability for every label, of an upright RGB picture of any size.
  std::vector<float> probabilities(const Picture& picture);

 private:
  void make(const std::string& path);
  void release();
  LiteRtTensorBuffer buffer(LiteRtTensor tensor, LiteRtTensorBufferRequirements requirements, std::size_t bytes);

  std::vector<char> content_;
  LiteRtEnvironment environment_ = nullptr;
  LiteRtModel model_ = nullptr;
  LiteRtOptions options_ = nullptr;
  LiteRtCompiledModel compiled_ = nullptr;
  LiteRtTensorBuffer input_ = nullptr;
  LiteRtTensorBuffer output_ = nullptr;
};

}  // namespace classifier

#endif  // CLASSIFIER_CLASSIFIER_H_
