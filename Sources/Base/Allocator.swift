internal import CKernels

/// The process's memory, as the C library deals with it.
public enum Allocator {
    /// Large blocks go back to the system when they are freed; to be called once, before there are any.
    public static func begin() { ck_allocator_begin() }

    /// Gives back the small ones that are free: millions of them after a large document. Takes some ten milliseconds for hundreds of megabytes.
    public static func giveBack() { ck_allocator_give_back() }
}
