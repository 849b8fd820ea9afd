// What must hold after each step, checked where the step is made, in the very build that is served.
//
// `assert` is not in a release build, and the suite runs the release build (decision 9). So this is a switch in the environment instead:
// tools/test sets it for every test and for the servers that tests start; anybody may for a server that is suspected. Off, a check is one
// load and a branch, and what it would look at is not computed.

internal import Glibc

public enum Invariants {
    /// `CONTEX_CHECK_INVARIANTS=1`
    public static let areChecked = unsafe getenv("CONTEX_CHECK_INVARIANTS").map { unsafe String(cString: $0) == "1" } ?? false

    /// Ends the process when there are faults: they are ours, and what follows would be built on them.
    @inline(__always)
    public static func hold(_ faults: @autoclosure () throws -> [String]) rethrows {
        if areChecked { fail(try faults()) }
    }

    /// The same for what has one sentence.
    @inline(__always)
    public static func hold(_ condition: @autoclosure () throws -> Bool, _ fault: @autoclosure () -> String) rethrows {
        if areChecked, try !condition() { fail([fault()]) }
    }

    private static func fail(_ faults: [String]) {
        precondition(faults.isEmpty, "an invariant is broken: \(faults.prefix(10).joined(separator: "; "))")
    }
}
