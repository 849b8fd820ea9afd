// Quantised codes: what the graph is walked and built by.
//
// A vector is turned by an orthogonal map drawn from the project's number (random signs, Hadamard transforms of 128 and
// permutations, twice over), after which its components are spread like normal ones, whatever the model made of them, and
// a few levels a component lose little. The code is the nearest level of each; beside it stands one factor, with which the product
// of the code with the vector itself comes out exactly (RaBitQ: Gao & Long, SIGMOD 2024, and its extension to more bits, SIGMOD
// 2025: with it the estimate of any product is free of bias). With 4 bits an estimated cosine is off by about 0.005.
//
// The other side of a product is a vector of 8-bit whole numbers: a query, or the expanded code of a stored vector. A
// product is then a sum of whole numbers, and what is derived from it is the same on every processor. That makes the
// graph's bytes the same on every machine.

internal import Base
internal import CKernels

/// The orthogonal map of a project and the kernels' level; made once, kept with the index's memory.
@safe
final class Quantiser: @unchecked Sendable {
    // Unchecked: the two tables are filled in init and only read after it.

    let layout: ChunkLayout
    let level: Int32
    private let signs: UnsafeMutablePointer<Float>
    private let places: UnsafeMutablePointer<UInt32>

    init(layout: ChunkLayout, project: UInt32) {
        self.layout = layout
        level = ck_codes_level()
        let count = 2 * layout.padded
        unsafe signs = .allocate(capacity: count)
        unsafe places = .allocate(capacity: count)
        var random = SeededRandom(seed: UInt64(project) << 32 | 0x526F_7461)
        for place in 0..<count { unsafe (signs + place).initialize(to: random.next() >> 63 == 0 ? 1 : -1) }
        for round in 0..<2 {
            var order = Array(0..<UInt32(layout.padded))
            for last in stride(from: order.count - 1, to: 0, by: -1) { order.swapAt(last, Int(random.next() % UInt64(last + 1))) }
            for (place, from) in order.enumerated() { unsafe (places + round * layout.padded + place).initialize(to: from) }
        }
    }

    deinit {
        unsafe signs.deallocate()
        unsafe places.deallocate()
    }

    /// Writes the code; returns its factor.
    func encode(_ vector: [Float], _ buffer: CodeBuffer, into code: UnsafeMutablePointer<UInt8>) -> Float {
        rotate(vector, buffer)
        return unsafe ck_codes_encode(Int32(layout.bits), buffer.rotated, layout.padded, code)
    }

    /// Makes `buffer` the other side of products with `vector`.
    func query(_ vector: [Float], _ buffer: CodeBuffer) {
        rotate(vector, buffer)
        var sum: Int32 = 0
        buffer.scale = unsafe ck_codes_query(buffer.rotated, layout.padded, buffer.query, &sum)
        buffer.offset = offset(sum)
    }

    /// Makes `buffer` the other side of products with a stored vector.
    func expand(_ code: UnsafePointer<UInt8>, factor: Float, _ buffer: CodeBuffer) {
        var sum: Int32 = 0
        unsafe ck_codes_expand(Int32(layout.bits), code, layout.padded, buffer.query, &sum)
        buffer.scale = layout.bits == 4 ? factor / 2 : factor
        buffer.offset = offset(sum)
    }

    /// What the levels' zero point adds to every product with this side.
    private func offset(_ sum: Int32) -> Float { layout.bits == 4 ? 7.5 * Float(sum) : 128 * Float(sum) }

    private func rotate(_ vector: [Float], _ buffer: CodeBuffer) {
        unsafe vector.withUnsafeBufferPointer { unsafe buffer.rotated.update(from: $0.baseAddress!, count: layout.dimension) }
        if layout.padded > layout.dimension {
            unsafe (buffer.rotated + layout.dimension).update(repeating: 0, count: layout.padded - layout.dimension)
        }
        unsafe ck_codes_rotate(buffer.rotated, buffer.scratch, signs, places, layout.padded)
    }
}

/// One side of products, and the floats on the way to it. Used by one thread at a time.
@safe
final class CodeBuffer {
    let rotated: UnsafeMutablePointer<Float>
    let scratch: UnsafeMutablePointer<Float>
    let query: UnsafeMutablePointer<Int8>
    var scale: Float = 0
    var offset: Float = 0

    init(padded: Int) {
        unsafe rotated = .allocate(capacity: padded)
        unsafe scratch = .allocate(capacity: padded)
        unsafe query = .allocate(capacity: padded)
        unsafe rotated.initialize(repeating: 0, count: padded)
        unsafe scratch.initialize(repeating: 0, count: padded)
        unsafe query.initialize(repeating: 0, count: padded)
    }

    deinit {
        unsafe rotated.deallocate()
        unsafe scratch.deallocate()
        unsafe query.deallocate()
    }
}
