// OpenBLAS, opened at run time instead of linked, because of when it decides what it is.
//
// The library chooses its kernels in its constructor, by the model number of the processor. Debian 12 ships 0.3.21, which
// knows no processor made after it and then falls to the kernels of 2004 (16 to 40 GFLOP/s instead of 80 to 140). The
// environment variable OPENBLAS_CORETYPE overrides the choice, but it must be set when the constructor runs: for a linked
// library that is before `main`, and would take a second exec of ourselves. With `dlopen` the order is ours: look at the
// features of the processor (not its model), set the variable, open, put the variable back. A variable that the operator
// has set is respected. OPENBLAS_NUM_THREADS=1 keeps the library from starting threads of its own: work is spread over
// batches, one per thread, which needs no synchronisation inside a product.
//
// docs/decisions/0003-openblas-at-run-time.md has the figures.

internal import Base
internal import CKernels
internal import COpenBLAS
#if canImport(Glibc)
internal import Glibc
#endif

/// The one function of OpenBLAS that the encoder needs, and what the library says about itself.
@safe struct OpenBLAS: Sendable {
    private typealias MatrixProduct = @convention(c) (
        CBLAS_ORDER, CBLAS_TRANSPOSE, CBLAS_TRANSPOSE, blasint, blasint, blasint, Float, UnsafePointer<Float>?, blasint,
        UnsafePointer<Float>?, blasint, Float, UnsafeMutablePointer<Float>?, blasint
    ) -> Void
    private typealias Text = @convention(c) () -> UnsafePointer<CChar>?

    private let matrixProduct: MatrixProduct
    /// The kernels in use, for instance `SkylakeX` or `Haswell`.
    let coreName: String

    /// Opened once for the process: a second `dlopen` would not run the constructor again.
    static let shared: Result<OpenBLAS, ContexError> = Result { () throws(ContexError) in try OpenBLAS() }

    private static let fileName = "libopenblas.so.0"

    private init() throws(ContexError) {
        let best: String? =
            switch ck_simd_level() {
            case CK_SIMD_AVX512: "SkylakeX"
            case CK_SIMD_AVX2: "Haswell"
            default: nil
            }
        let handle = unsafe Self.with(variable: "OPENBLAS_CORETYPE", best) {
            unsafe Self.with(variable: "OPENBLAS_NUM_THREADS", "1") { unsafe dlopen(Self.fileName, RTLD_NOW | RTLD_LOCAL) }
        }
        guard let handle = unsafe handle else {
            let reason = unsafe dlerror().map { unsafe String(cString: $0) } ?? "unknown reason"
            throw ContexError(
                .unavailable, "the library \(Self.fileName) cannot be opened (\(reason)): install the package libopenblas0-pthread, or run tools/setup")
        }
        guard let product = unsafe dlsym(handle, "cblas_sgemm"), let name = unsafe dlsym(handle, "openblas_get_corename") else {
            throw ContexError(.unavailable, "\(Self.fileName) has no cblas_sgemm or openblas_get_corename: install the package libopenblas0-pthread")
        }
        unsafe matrixProduct = unsafeBitCast(product, to: MatrixProduct.self)
        let text = unsafe unsafeBitCast(name, to: Text.self)
        coreName = unsafe text().map { unsafe String(cString: $0) } ?? "unknown"
    }

    /// Runs `body` with an environment variable set, unless it is set already, and takes it away again.
    private static func with<Value>(variable: String, _ value: String?, _ body: () -> Value) -> Value {
        guard let value, unsafe getenv(variable) == nil else { return body() }
        unsafe setenv(variable, value, 0)
        defer { unsafe unsetenv(variable) }
        return body()
    }

    /// c = a times w transposed, row-major: `a` is rows x depth, `w` outputs x depth, `c` rows x outputs with a stride.
    @unsafe func project(
        _ a: UnsafePointer<Float>, _ w: UnsafePointer<Float>, into c: UnsafeMutablePointer<Float>, stride: Int, rows: Int,
        outputs: Int, depth: Int
    ) {
        unsafe matrixProduct(
            CblasRowMajor, CblasNoTrans, CblasTrans, blasint(rows), blasint(outputs), blasint(depth), 1, a, blasint(depth), w,
            blasint(depth), 0, c, blasint(stride))
    }
}
