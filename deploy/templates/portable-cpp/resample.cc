#include "resample.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "contract.h"

namespace classifier {
namespace {

constexpr int kChannels = 3;
constexpr int kPrecision = 22;
constexpr double kPi = 3.14159265358979323846;

// The part of a picture that is mapped to the size, in pixels. Pillow hands it on in single precision.
struct Box {
  float left;
  float top;
  float right;
  float bottom;
};

// For each pixel of a line: the first source pixel it is made of, and the weights of that and the following ones.
struct Weights {
  std::vector<int> first;
  std::vector<std::vector<std::int32_t>> taps;
};

double sinc(double x) { return x == 0.0 ? 1.0 : std::sin(x * kPi) / (x * kPi); }

double weight(Filter filter, double x) {
  const double a = std::fabs(x);
  switch (filter) {
    case Filter::kBilinear:
      return a < 1.0 ? 1.0 - a : 0.0;
    case Filter::kBicubic:  // Keys' kernel with -0.5
      if (a < 1.0) return (1.5 * a - 2.5) * a * a + 1.0;
      return a < 2.0 ? (((a - 5.0) * a + 8.0) * a - 4.0) * -0.5 : 0.0;
    case Filter::kLanczos:
      return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0;
    default:
      return 0.0;
  }
}

double support(Filter filter) {
  return filter == Filter::kBilinear ? 1.0 : filter == Filter::kBicubic ? 2.0 : 3.0;
}

std::int32_t fixed_point(double value) {
  const double scaled = value * (1 << kPrecision);
  return static_cast<std::int32_t>(scaled < 0.0 ? scaled - 0.5 : scaled + 0.5);
}

std::uint8_t to_byte(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::min(255, std::max(0, sum >> kPrecision)));
}

Weights weights_of(int length, float from, float to, int target, Filter filter) {
  const double scale = static_cast<double>(to - from) / target;
  const double widened = std::max(scale, 1.0);  // going down, the filter covers more source pixels
  const double reach = support(filter) * widened;
  Weights found;
  for (int place = 0; place < target; ++place) {
    const double center = from + (place + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(center - reach + 0.5));
    const int last = std::min(length, static_cast<int>(center + reach + 0.5));
    std::vector<double> values;
    double total = 0.0;
    for (int source = first; source < last; ++source) {
      values.push_back(weight(filter, (source - center + 0.5) * (1.0 / widened)));
      total += values.back();
    }
    std::vector<std::int32_t> taps;
    for (double value : values) taps.push_back(fixed_point(total != 0.0 ? value / total : value));
    found.first.push_back(first);
    found.taps.push_back(taps);
  }
  return found;
}

// Filters along one axis: `count` lines, `line` bytes apart, of pixels that lie `apart` bytes from each other.
void filter_lines(const std::uint8_t* source, std::uint8_t* target, const Weights& weights, int count,
                  std::size_t source_line, std::size_t target_line, std::size_t apart) {
  for (int line = 0; line < count; ++line) {
    for (std::size_t place = 0; place < weights.first.size(); ++place) {
      const std::vector<std::int32_t>& taps = weights.taps[place];
      for (int channel = 0; channel < kChannels; ++channel) {
        std::int32_t sum = 1 << (kPrecision - 1);
        const std::uint8_t* pixel = source + line * source_line + weights.first[place] * apart + channel;
        for (std::size_t tap = 0; tap < taps.size(); ++tap) sum += pixel[tap * apart] * taps[tap];
        target[line * target_line + place * apart + channel] = to_byte(sum);
      }
    }
  }
}

// One pass along the rows, where the width or the box asks for it.
Picture across(const Picture& picture, const Box& box, const Step& step) {
  if (step.width == picture.width && box.left == 0.0f && box.right == static_cast<float>(step.width)) return picture;
  Picture found = {step.width, picture.height, {}};
  found.rgb.resize(static_cast<std::size_t>(kChannels) * found.width * found.height);
  filter_lines(picture.rgb.data(), found.rgb.data(),
               weights_of(picture.width, box.left, box.right, step.width, step.filter), picture.height,
               static_cast<std::size_t>(kChannels) * picture.width, static_cast<std::size_t>(kChannels) * found.width,
               kChannels);
  return found;
}

// One pass along the columns.
Picture down(const Picture& picture, const Box& box, const Step& step) {
  if (step.height == picture.height && box.top == 0.0f && box.bottom == static_cast<float>(step.height)) return picture;
  Picture found = {picture.width, step.height, {}};
  found.rgb.resize(static_cast<std::size_t>(kChannels) * found.width * found.height);
  filter_lines(picture.rgb.data(), found.rgb.data(),
               weights_of(picture.height, box.top, box.bottom, step.height, step.filter), picture.width, kChannels,
               kChannels, static_cast<std::size_t>(kChannels) * picture.width);
  return found;
}

// As Pillow from version 13 on: columns before rows where the height shrinks by far more than the width.
Picture filtered(const Picture& picture, const Box& box, const Step& step) {
  const bool columns_first = step.height < picture.height &&
                             picture.height - step.height > 2 * (picture.width - step.width);
  if (columns_first) return across(down(picture, box, step), box, step);
  return down(across(picture, box, step), box, step);
}

// The source pixel of every place of a line; positions are added up, as Pillow does it.
std::vector<int> nearest(int length, float from, float to, int target) {
  const double scale = static_cast<double>(to - from) / target;
  double position = from + scale * 0.5;
  std::vector<int> found;
  for (int place = 0; place < target; ++place, position += scale) {
    found.push_back(std::min(length - 1, static_cast<int>(position)));
  }
  return found;
}

Picture picked(const Picture& picture, const Box& box, const Step& step) {
  const std::vector<int> columns = nearest(picture.width, box.left, box.right, step.width);
  const std::vector<int> rows = nearest(picture.height, box.top, box.bottom, step.height);
  Picture found = {step.width, step.height, {}};
  for (int row : rows) {
    for (int column : columns) {
      const std::size_t start = (static_cast<std::size_t>(row) * picture.width + column) * kChannels;
      found.rgb.insert(found.rgb.end(), picture.rgb.begin() + start, picture.rgb.begin() + start + kChannels);
    }
  }
  return found;
}

Box box_of(const Picture& picture, const Step& step) {
  const double width = picture.width;
  const double height = picture.height;
  double crop_width = width;
  double crop_height = height;
  if (step.fit == Fit::kCrop) {
    const double wanted = static_cast<double>(step.width) / step.height;
    if (width / height > wanted) {
      crop_width = wanted * height;
    } else if (width / height < wanted) {
      crop_height = width / wanted;
    }
  }
  const double left = (width - crop_width) * 0.5;
  const double top = (height - crop_height) * 0.5;
  return {static_cast<float>(left), static_cast<float>(top), static_cast<float>(left + crop_width),
          static_cast<float>(top + crop_height)};
}

}  // namespace

Picture resized(const Picture& picture, const Step& step) {
  if (picture.width == step.width && picture.height == step.height) return picture;
  const Box box = box_of(picture, step);
  return step.filter == Filter::kNearest ? picked(picture, box, step) : filtered(picture, box, step);
}

Picture prepared(Picture picture, const Step* steps, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) picture = resized(picture, steps[i]);
  return picture;
}

}  // namespace classifier
