#if canImport(Darwin)
import Darwin
#else
import Glibc
#endif

public enum Filter {
    case nearest, bilinear, bicubic, lanczos
}

/// `stretch` maps the whole picture to the size, `crop` keeps its aspect and cuts the middle out.
public enum Fit {
    case stretch, crop
}

public struct Step {
    public let width: Int
    public let height: Int
    public let filter: Filter
    public let fit: Fit

    public init(width: Int, height: Int, filter: Filter, fit: Fit) {
        self.width = width
        self.height = height
        self.filter = filter
        self.fit = fit
    }
}

/// Upright 8-bit RGB, row by row: `rgb` holds 3 * width * height bytes.
public struct Picture {
    public let width: Int
    public let height: Int
    public var rgb: [UInt8]

    public init(width: Int, height: Int, rgb: [UInt8]) {
        self.width = width
        self.height = height
        self.rgb = rgb
    }

    /// The picture after all steps, one after the other: byte for byte what Pillow makes of it.
    public func prepared(_ steps: [Step]) -> Picture {
        steps.reduce(self) { picture, step in picture.resized(step) }
    }

    /// One step of a resize chain; a picture that has the size already stays as it is.
    public func resized(_ step: Step) -> Picture {
        if width == step.width && height == step.height {
            return self
        }
        let box = self.box(step)
        if step.filter == .nearest {
            return picked(box, step)
        }
        // As Pillow from version 13 on does it, where the height shrinks by far more than the width.
        let columnsFirst = step.height < height
            && height - step.height > 2 * (width - step.width)
        return columnsFirst ? down(box, step).across(box, step) : across(box, step).down(box, step)
    }
}

private let channels = 3
private let precision = 22

/// The part of a picture that is mapped to the size, in pixels. Pillow hands it on in single precision.
private struct Box {
    let left: Float
    let top: Float
    let right: Float
    let bottom: Float
}

/// The first source pixel that a pixel is made of, and the weights of that and the following ones.
private struct Weights {
    let first: Int
    let taps: [Int]
}

extension Picture {
    private func box(_ step: Step) -> Box {
        var cropWidth = Double(width)
        var cropHeight = Double(height)
        if step.fit == .crop {
            let wanted = Double(step.width) / Double(step.height)
            let found = Double(width) / Double(height)
            if found > wanted {
                cropWidth = wanted * Double(height)
            } else if found < wanted {
                cropHeight = Double(width) / wanted
            }
        }
        let left = (Double(width) - cropWidth) * 0.5
        let top = (Double(height) - cropHeight) * 0.5
        return Box(left: Float(left), top: Float(top), right: Float(left + cropWidth), bottom: Float(top + cropHeight))
    }

    /// One pass along the rows, where the width or the box asks for it.
    private func across(_ box: Box, _ step: Step) -> Picture {
        if step.width == width && box.left == 0 && box.right == Float(step.width) {
            return self
        }
        let all = weights(width, box.left, box.right, step.width, step.filter)
        var found = [UInt8](repeating: 0, count: channels * step.width * height)
        for row in 0..<height {
            for (column, each) in all.enumerated() {
                for channel in 0..<channels {
                    let start = channels * (row * width + each.first) + channel
                    found[channels * (row * step.width + column) + channel] = sum(each.taps, start, channels)
                }
            }
        }
        return Picture(width: step.width, height: height, rgb: found)
    }

    /// One pass along the columns.
    private func down(_ box: Box, _ step: Step) -> Picture {
        if step.height == height && box.top == 0 && box.bottom == Float(step.height) {
            return self
        }
        let all = weights(height, box.top, box.bottom, step.height, step.filter)
        var found = [UInt8](repeating: 0, count: channels * width * step.height)
        for (row, each) in all.enumerated() {
            for place in 0..<(channels * width) {
                let start = channels * width * each.first + place
                found[channels * width * row + place] = sum(each.taps, start, channels * width)
            }
        }
        return Picture(width: width, height: step.height, rgb: found)
    }

    /// A weighted sum of bytes that lie `apart` from each other, rounded to a byte.
    private func sum(_ taps: [Int], _ start: Int, _ apart: Int) -> UInt8 {
        var total = 1 << (precision - 1)
        var place = start
        for tap in taps {
            total += Int(rgb[place]) * tap
            place += apart
        }
        return UInt8(min(255, max(0, total >> precision)))
    }

    private func picked(_ box: Box, _ step: Step) -> Picture {
        let columns = nearest(width, box.left, box.right, step.width)
        let rows = nearest(height, box.top, box.bottom, step.height)
        var found: [UInt8] = []
        for row in rows {
            for column in columns {
                let start = channels * (row * width + column)
                found += rgb[start..<(start + channels)]
            }
        }
        return Picture(width: step.width, height: step.height, rgb: found)
    }
}

private func weights(_ length: Int, _ from: Float, _ to: Float, _ target: Int, _ filter: Filter) -> [Weights] {
    let scale = Double(to - from) / Double(target)
    let widened = max(scale, 1.0) // going down, the filter covers more source pixels
    let reach = support(filter) * widened
    return (0..<target).map { place in
        let center = Double(from) + (Double(place) + 0.5) * scale
        let first = max(0, Int(center - reach + 0.5))
        let last = min(length, Int(center + reach + 0.5))
        let values = (first..<last).map { weight(filter, (Double($0) - center + 0.5) * (1.0 / widened)) }
        let total = values.reduce(0.0, +)
        return Weights(first: first, taps: values.map { fixedPoint(total != 0.0 ? $0 / total : $0) })
    }
}

private func fixedPoint(_ value: Double) -> Int {
    let scaled = value * Double(1 << precision)
    return Int(scaled < 0 ? scaled - 0.5 : scaled + 0.5)
}

private func support(_ filter: Filter) -> Double {
    switch filter {
    case .nearest: return 0
    case .bilinear: return 1
    case .bicubic: return 2
    case .lanczos: return 3
    }
}

private func weight(_ filter: Filter, _ x: Double) -> Double {
    let a = abs(x)
    switch filter {
    case .nearest:
        return 0
    case .bilinear:
        return a < 1 ? 1 - a : 0
    case .bicubic: // Keys' kernel with -0.5
        if a < 1 {
            return (1.5 * a - 2.5) * a * a + 1
        }
        return a < 2 ? (((a - 5) * a + 8) * a - 4) * -0.5 : 0
    case .lanczos:
        return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0
    }
}

private func sinc(_ x: Double) -> Double {
    x == 0 ? 1 : sin(x * Double.pi) / (x * Double.pi)
}

/// The source pixel of every place of a line; positions are added up, as Pillow does it.
private func nearest(_ length: Int, _ from: Float, _ to: Float, _ target: Int) -> [Int] {
    let scale = Double(to - from) / Double(target)
    var position = Double(from) + scale * 0.5
    return (0..<target).map { _ in
        let found = min(length - 1, Int(position))
        position += scale
        return found
    }
}
