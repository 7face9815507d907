// Bytes into the model's input tensor, and its output tensor to probabilities.
#ifndef CLASSIFIER_TENSORS_H_
#define CLASSIFIER_TENSORS_H_

#include <cstddef>
#include <cstdint>

#include "contract.h"

namespace classifier {

// How many bytes a tensor of a type takes.
constexpr std::size_t bytes_of(Type type, std::size_t values) {
  return type == Type::kFloat32 ? values * sizeof(float) : values;
}

// Fills an input tensor from RGB of the model's size: 3 * kPixels bytes, raw; the model scales them itself.
void enter(const std::uint8_t* rgb, void* tensor);

// What an output tensor says of a class; 0 to 1 when the model ends in a softmax, as edgeproof's do.
float probability(const void* tensor, int index);

// The most probable class, of equal ones the first.
int best(const void* tensor);

}  // namespace classifier

#endif  // CLASSIFIER_TENSORS_H_
