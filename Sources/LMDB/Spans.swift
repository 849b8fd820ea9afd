// Small conveniences on mapped bytes.

extension RawSpan {
    @inlinable
    public func starts(with prefix: [UInt8]) -> Bool {
        guard byteCount >= prefix.count else { return false }
        for i in 0..<prefix.count where unsafe unsafeLoad(fromByteOffset: i, as: UInt8.self) != prefix[i] { return false }
        return true
    }
}

extension Array where Element == UInt8 {
    /// A copy of mapped bytes, for what must outlive the transaction.
    @inlinable
    public init(_ span: borrowing RawSpan) {
        self = unsafe span.withUnsafeBytes { unsafe Array($0) }
    }
}

@_unsafeNonescapableResult
@_lifetime(borrow source)
func _overrideLifetime<T: ~Copyable & ~Escapable, U: ~Copyable & ~Escapable>(
    _ dependent: consuming T, borrowing source: borrowing U
) -> T { dependent }

@_unsafeNonescapableResult
@_lifetime(copy source)
func _overrideLifetime<T: ~Copyable & ~Escapable, U: ~Copyable & ~Escapable>(
    _ dependent: consuming T, copying source: borrowing U
) -> T { dependent }
