import Foundation
import XCTest
@testable import Classifier

/// On a computer (`swift test`): the resize chain gives the pixels that the model file promises, to the byte.
final class GoldenPixelsTests: XCTestCase {
    func testPicturesBecomeTheExpectedPixels() throws {
        let folder = try XCTUnwrap(Bundle.module.url(forResource: "golden", withExtension: nil))
        let table = try String(contentsOf: folder.appendingPathComponent("expected.txt"), encoding: .utf8)
        for line in table.split(separator: "\n") {
            let cells = line.split(separator: " ")
            let picture = try ppm(Data(contentsOf: folder.appendingPathComponent("\(cells[0]).ppm")))
            XCTAssertEqual(fnv1a(picture.prepared(Contract.steps).rgb), UInt64(cells[2], radix: 16), String(cells[0]))
        }
    }

    private func fnv1a(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { found, byte in (found ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }

    /// A picture from a binary PPM file with a header of three lines.
    private func ppm(_ content: Data) throws -> Picture {
        let parts = content.split(separator: 10, maxSplits: 3, omittingEmptySubsequences: false)
        let sides = String(decoding: parts[1], as: UTF8.self).split(separator: " ").compactMap { Int($0) }
        return Picture(width: sides[0], height: sides[1], rgb: [UInt8](parts[3]))
    }
}
