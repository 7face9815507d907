import CoreVideo
import CryptoKit
import Foundation
import MediaPipeTasksVision
#if canImport(Classifier)
import Classifier
#endif

/// A label with its probability: 0 to 1 when the model ends in a softmax, as edgeproof's do.
struct Answer {
    let label: String
    let probability: Float
}

enum ClassifierError: Error {
    /// The model in the bundle is missing, or not the file that this project was made of.
    case wrongModel
    /// Memory for a picture cannot be had.
    case noPixelBuffer
    /// The bytes are no picture.
    case noPicture
}

/// The model in MediaPipe's ImageClassifier, which reads labels and scales from the file's metadata.
///
/// MediaPipe would stretch a picture to the model's size by a way of its own, so it gets pictures of that size already.
final class MediaPipeClassifier {
    private let classifier: ImageClassifier

    init(bundle: Bundle = .main) throws {
        guard let path = bundle.path(forResource: "model", ofType: "tflite") else {
            throw ClassifierError.wrongModel
        }
        let digest = SHA256.hash(data: try Data(contentsOf: URL(fileURLWithPath: path)))
        guard digest.map({ String(format: "%02x", $0) }).joined() == Contract.modelSHA256 else {
            throw ClassifierError.wrongModel
        }
        let options = ImageClassifierOptions()
        options.baseOptions.modelAssetPath = path
        options.runningMode = .image
        classifier = try ImageClassifier(options: options)
    }

    /// The most probable labels of a picture, best first.
    func classify(_ picture: Picture, top: Int = 5) throws -> [Answer] {
        let found = try probabilities(picture)
        let order = found.indices.sorted { (found[$0], $1) > (found[$1], $0) }
        return order.prefix(top).map { Answer(label: Contract.labels[$0], probability: found[$0]) }
    }

    /// A probability for every label, of an upright RGB picture of any size.
    func probabilities(_ picture: Picture) throws -> [Float] {
        let image = try MPImage(pixelBuffer: pixelBuffer(picture.prepared(Contract.steps)))
        let result = try classifier.classify(image: image)
        var found = [Float](repeating: 0, count: Contract.labels.count)
        for category in result.classificationResult.classifications[0].categories {
            found[category.index] = category.score
        }
        return found
    }

    /// RGB in the one order that MediaPipe takes: blue, green, red, alpha.
    private func pixelBuffer(_ picture: Picture) throws -> CVPixelBuffer {
        var made: CVPixelBuffer?
        CVPixelBufferCreate(nil, picture.width, picture.height, kCVPixelFormatType_32BGRA, nil, &made)
        guard let buffer = made else {
            throw ClassifierError.noPixelBuffer
        }
        CVPixelBufferLockBaseAddress(buffer, [])
        defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
        guard let base = CVPixelBufferGetBaseAddress(buffer) else {
            throw ClassifierError.noPixelBuffer
        }
        let bytes = base.assumingMemoryBound(to: UInt8.self)
        for row in 0..<picture.height {
            for column in 0..<picture.width {
                let source = 3 * (row * picture.width + column)
                let target = row * CVPixelBufferGetBytesPerRow(buffer) + 4 * column
                for channel in 0..<3 {
                    bytes[target + channel] = picture.rgb[source + 2 - channel]
                }
                bytes[target + 3] = 255
            }
        }
        return buffer
    }
}
