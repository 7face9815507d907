// Pictures from binary PPM files (P6), which need no library; `convert photo.jpg -auto-orient photo.ppm` makes them.
#ifndef CLASSIFIER_PPM_H_
#define CLASSIFIER_PPM_H_

#include <string>

#include "resample.h"

namespace classifier {

// Throws std::runtime_error for a file that is no P6 of 8 bits a channel.
Picture read_ppm(const std::string& path);

}  // namespace classifier

#endif  // CLASSIFIER_PPM_H_
