public import Base
internal import LMDB
internal import Synchronization
public import Tenants

/// The tenants as they are now, for whoever asks whose a request is. Replaced after the commit that changed them, before that is answered.
public final class TenantBook: Sendable {
    struct Snapshot: Sendable {
        var isOn = false
        var byName: [String: TenantRecord] = [:]
        var byNumber: [TenantID: TenantRecord] = [:]
        /// In the order in which they were made.
        var all: [TenantRecord] = []
        /// With the standard tenant always.
        var numbers: [TenantID] = [.standard]

        init() {}

        init(_ view: borrowing TransactionView) throws {
            isOn = try TenantRegistry.state(in: view)?.isOn ?? false
            for tenant in try TenantRegistry.tenants(in: view) {
                byName[tenant.name.text] = tenant
                byNumber[tenant.number] = tenant
            }
            all = byNumber.values.sorted { $0.number < $1.number }
            numbers = Set(byNumber.keys).union([.standard]).sorted()
        }
    }
    private let snapshot: Mutex<Snapshot>

    init(_ snapshot: Snapshot) { self.snapshot = Mutex(snapshot) }

    func replace(with next: Snapshot) { snapshot.withLock { $0 = next } }

    /// Whether there are several, and quotas hold.
    public var isOn: Bool { snapshot.withLock { $0.isOn } }

    public func tenant(named name: String) -> TenantRecord? { snapshot.withLock { $0.byName[name] } }
    public subscript(number: TenantID) -> TenantRecord? { snapshot.withLock { $0.byNumber[number] } }
    /// In the order in which they were made.
    public var all: [TenantRecord] { snapshot.withLock { $0.all } }
    /// Whose records there may be: the standard tenant always.
    public var numbers: [TenantID] { snapshot.withLock { $0.numbers } }
}
