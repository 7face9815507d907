extension Picture {
    /// The picture as it is meant to be seen, by the EXIF orientation 1 to 8 that it was stored with.
    public func turned(_ orientation: Int) -> Picture {
        if orientation < 2 || orientation > 8 {
            return self
        }
        let sideways = orientation >= 5
        let newWidth = sideways ? height : width
        let newHeight = sideways ? width : height
        var found: [UInt8] = []
        found.reserveCapacity(rgb.count)
        for y in 0..<newHeight {
            for x in 0..<newWidth {
                let mirrored = newWidth - 1 - x
                let flipped = newHeight - 1 - y
                let column: Int
                let row: Int
                switch orientation {
                case 2: (column, row) = (mirrored, y)
                case 3: (column, row) = (mirrored, flipped)
                case 4: (column, row) = (x, flipped)
                case 5: (column, row) = (y, x)
                case 6: (column, row) = (y, mirrored)
                case 7: (column, row) = (flipped, mirrored)
                default: (column, row) = (flipped, x)
                }
                let start = 3 * (row * width + column)
                found += rgb[start..<(start + 3)]
            }
        }
        return Picture(width: newWidth, height: newHeight, rgb: found)
    }
}
