import CoreGraphics
import Foundation
import ImageIO
#if canImport(Classifier)
import Classifier
#endif

/// A picture file to upright RGB: turned as its EXIF says, transparency laid on the contract's background.
///
/// Core Graphics converts colours to sRGB and rounds what shines through, so bytes may differ by a few steps from
/// Pillow's; the golden test on the device holds the answers to such pictures against the expected ones.
func decode(_ content: Data) throws -> Picture {
    guard let source = CGImageSourceCreateWithData(content as CFData, nil),
          let image = CGImageSourceCreateImageAtIndex(source, 0, nil),
          let space = CGColorSpace(name: CGColorSpace.sRGB)
    else {
        throw ClassifierError.noPicture
    }
    let (width, height) = (image.width, image.height)
    var rgba = [UInt8](repeating: 0, count: 4 * width * height)
    let drawn = rgba.withUnsafeMutableBytes { memory -> Bool in
        guard let context = CGContext(
            data: memory.baseAddress, width: width, height: height, bitsPerComponent: 8, bytesPerRow: 4 * width,
            space: space, bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue
        ) else {
            return false
        }
        let parts = Contract.background.map { CGFloat($0) / CGFloat(UInt8.max) }
        let area = CGRect(x: 0, y: 0, width: width, height: height)
        context.setFillColor(red: parts[0], green: parts[1], blue: parts[2], alpha: 1)
        context.fill(area)
        context.draw(image, in: area)
        return true
    }
    guard drawn else {
        throw ClassifierError.noPicture
    }
    var rgb = [UInt8](repeating: 0, count: 3 * width * height)
    for place in 0..<(width * height) {
        for channel in 0..<3 {
            rgb[3 * place + channel] = rgba[4 * place + channel]
        }
    }
    let properties = CGImageSourceCopyPropertiesAtIndex(source, 0, nil) as? [CFString: Any]
    let orientation = properties?[kCGImagePropertyOrientation] as? Int ?? 1
    return Picture(width: width, height: height, rgb: rgb).turned(orientation)
}
