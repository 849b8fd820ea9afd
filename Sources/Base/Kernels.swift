internal import CKernels

/// The level of vector instructions that this process computes with: the processor's, or less, as CONTEX_KERNELS says.
public enum Kernels {
    public static let variable = "CONTEX_KERNELS"

    /// Refuses to run on when the variable names no level, so that nobody believes to have forced one.
    /// - Throws: `.badRequest`
    public static func verify() throws(ContexError) {
        guard ck_kernels_named() != 0 else {
            throw .badRequest("\(variable) must be portable, avx2 or avx512: the most that is used of what the processor has")
        }
    }
}
