// What changes a store, as a value.
//
//     edge -> Service -> Engine prepares a Command, outside any transaction -> CommandLog -> apply, inside one -> commit -> answer
//
// A command carries everything that was found out outside: the nodes of a document, their token counts and vectors, times, keys, whom a
// registration concerns. So applying it needs no clock, no model and no random number: the same commands in the same order give
// the same bytes on every machine. What rides along for speed or for the answer, and could be made again from the rest, is marked
// as such ("not part of the command") and is in no encoding.

internal import Access
internal import Base
internal import Content
internal import Documents
internal import FullText
internal import Hashing
internal import Inboxes
internal import Needs
package import Outbox
internal import Search
package import Tenants

/// Everything that changes what a store holds. docs/formats/commands-v1.md is its encoding.
package enum Command: Sendable {
    case publish(Publish)
    case delete(Delete)
    case register(Register)
    case unregister(Unregister)
    case setAnalyzer(SetAnalyzer)
    case changeKeys(ChangeKeys)
    case importProject(ImportProject)
    case keepQueries(KeepQueries)
    case acknowledge(Acknowledge)
    case expireInboxes(ExpireInboxes)
    case noteDeliveries(NoteDeliveries)
    case changeLetters(ChangeLetters)
    case changeEndpoint(ChangeEndpoint)
    case announce(Announce)
    case setRateLimit(SetRateLimit)
    case noteAudit(NoteAudit)
    case trim(Trim)
    case setRetention(SetRetention)
    case erase(Erase)
    case changeAccounts(ChangeAccounts)
    case changeRoles(ChangeRoles)
    case setGrants(SetGrants)
    case changeTenant(ChangeTenant)
    case eraseTenant(EraseTenant)
    case setTenancy(SetTenancy)
    case keepPart(KeepPart)
    case assembled(Assembled)
    case judge(Judge)
    indirect case attributed(Attributed)

    /// What a server remembers for itself, and nobody who follows it needs: it has no position, and is in no journal.
    var isLocal: Bool {
        switch self {
        case .keepQueries: true
        case .attributed(let attributed): attributed.command.isLocal
        default: false
        }
    }

    /// When it was proposed; every time that it leaves in the store is this one.
    var time: Timestamp {
        switch self {
        case .publish(let command): command.time
        case .delete(let command): command.time
        case .register(let command): command.time
        case .unregister(let command): command.time
        case .setAnalyzer(let command): command.time
        case .changeKeys(let command): command.time
        case .importProject(let command): command.time
        case .keepQueries(let command): command.time
        case .acknowledge(let command): command.time
        case .expireInboxes(let command): command.time
        case .noteDeliveries(let command): command.time
        case .changeLetters(let command): command.time
        case .changeEndpoint(let command): command.time
        case .announce(let command): command.time
        case .setRateLimit(let command): command.time
        case .noteAudit(let command): command.time
        case .trim(let command): command.time
        case .setRetention(let command): command.time
        case .erase(let command): command.time
        case .changeAccounts(let command): command.time
        case .changeRoles(let command): command.time
        case .setGrants(let command): command.time
        case .changeTenant(let command): command.time
        case .eraseTenant(let command): command.time
        case .setTenancy(let command): command.time
        case .keepPart(let command): command.time
        case .assembled(let command): command.time
        case .judge(let command): command.time
        case .attributed(let attributed): attributed.command.time
        }
    }

    var tenant: TenantID {
        switch self {
        case .publish(let command): command.tenant
        case .delete(let command): command.tenant
        case .register(let command): command.search.tenant
        case .unregister(let command): command.tenant
        case .setAnalyzer(let command): command.tenant
        case .changeKeys(let command): command.tenant
        case .importProject(let command): command.tenant
        case .keepQueries(let command): command.tenant
        case .acknowledge(let command): command.tenant
        case .expireInboxes(let command): command.tenant
        case .noteDeliveries(let command): command.tenant
        case .changeLetters(let command): command.tenant
        case .changeEndpoint(let command): command.tenant
        case .announce(let command): command.tenant
        case .setRateLimit(let command): command.tenant
        case .noteAudit(let command): command.tenant
        case .trim(let command): command.tenant
        case .setRetention(let command): command.tenant
        case .erase(let command): command.tenant
        case .changeAccounts(let command): command.tenant
        case .changeRoles(let command): command.tenant
        case .setGrants(let command): command.tenant
        case .judge(let command): command.tenant
        // The operator's: what is done to a tenant is none of its own doing.
        case .changeTenant, .eraseTenant, .setTenancy: .standard
        case .keepPart(let command): command.tenant
        case .assembled(let command): command.tenant
        case .attributed(let attributed): attributed.command.tenant
        }
    }
}

extension Command {
    /// By what rule fresh nodes are held against standing needs: it decides whom an agent follows, so it is part of the command and not of
    /// the machine that applies it.
    package struct Routing: Sendable, Equatable {
        let mode: SearchMode
        let threshold: Double

        init(mode: SearchMode, threshold: Double) {
            self.mode = mode
            self.threshold = threshold
        }

        package init(_ configuration: DatabaseConfiguration) { self.init(mode: configuration.mode, threshold: configuration.threshold) }
    }

    /// Removes a key.
    package struct Delete: Sendable {
        let tenant: TenantID
        let project: Name
        let key: Name
        let publisher: Publisher?
        let time: Timestamp
        /// Only if its time was over then; nil: whatever its time is. Not part of the command: one that was refused for it is in no journal.
        var expiredBy: Timestamp?
    }

    /// Removes the registrations of an agent in the projects named.
    package struct Unregister: Sendable {
        let tenant: TenantID
        let agent: Name
        let projects: [Name]
        let time: Timestamp
    }

    /// Chooses how the texts of a project are analysed, and makes its text index anew.
    package struct SetAnalyzer: Sendable {
        let tenant: TenantID
        let project: Name
        let kind: Analyzer.Kind
        let time: Timestamp
    }

    /// A change of API keys or roles.
    package struct ChangeKeys: Sendable {
        enum Change: Sendable {
            /// With the role that it gets at once, if any, and its terms.
            case create(KeyRecord, RoleAssignment?, KeyTerms)
            case setTerms(KeyID, KeyTerms)
            /// With the record of the new text, of which only hash, prefix and pepper count, and until when the text before is valid still.
            case rotate(KeyID, KeyRecord, formerUntil: Timestamp?)
            case confirm(KeyID)
            case revoke(KeyID)
            case assign(RoleAssignment)
            case removeRole(KeyID)
        }
        enum Asker: UInt8, Sendable {
            /// A key that may.
            case administrator = 1
            /// Authentication is off, and anybody may have asked: a role that is given now has to be confirmed.
            case anybody = 2
            /// Whoever can write the data folder: nothing binds him.
            case `operator` = 3
        }
        let tenant: TenantID
        let change: Change
        /// The projects of whoever asks: a key that reaches beyond them is not there for him.
        let reach: ProjectScope
        let asker: Asker
        let time: Timestamp
    }

    /// An agent has dealt with its inbox up to a cursor.
    package struct Acknowledge: Sendable {
        let tenant: TenantID
        let project: Name
        let agent: Name
        let cursor: InboxCursor
        let time: Timestamp
    }

    /// Lets entries of inboxes go whose events are older than a time.
    package struct ExpireInboxes: Sendable {
        let tenant: TenantID
        let before: Timestamp
        /// So many at most.
        let count: Int
        let time: Timestamp
    }

    /// The queries that were asked most often of this server.
    package struct KeepQueries: Sendable {
        struct Query: Sendable, Equatable {
            let project: Name
            let text: String
            let uses: UInt32
        }
        let tenant: TenantID
        let queries: [Query]
        let time: Timestamp
    }
}

/// What became of a command that was not refused.
package enum Outcome: Sendable {
    case published(PublishReceipt)
    case deleted(DeleteReceipt)
    case registered(Registration)
    /// How many registrations there were.
    case unregistered(Int)
    /// With the number of nodes whose texts were indexed anew.
    case analyzerSet(ProjectSettings, nodes: Int)
    /// How many entries of inboxes there were.
    case removed(Int)
    /// An endpoint as it is now.
    case endpoint(WebhookEndpoint)
    case announced(OutboxEvent)
    case trimmed(TrimStep)
    case erasing(ErasureStep)
    /// A tenant as it is now.
    case tenant(TenantRecord)
    case judged(Feedback)
    case done
    /// The snapshot that the command was prepared on is no longer true, and the command lacks what it needs now. Nothing was written: it is to
    /// be prepared again, complete.
    case stale
}

/// What a command leaves for after the commit.
package struct Effects: Sendable {
    var notifications: [Notification] = []
    /// API keys, service accounts and roles that are other ones now.
    var keyChanges: Set<KeyChange> = []
    /// The projects whose logs have grown, and whether another log took the place of one.
    var logs: [ProjectLog: Bool] = [:]
    /// Projects whose data is the same and is found in another way.
    var reindexed: Set<ProjectLog> = []
    /// Of a rehearsal: whom its command tells, and why. nil where nobody asks.
    var reached: [ReachedAgent]?
    /// Rate limits are other ones now.
    var haveLimitsChanged = false
    /// Tenants are other ones now, or there are several.
    var haveTenantsChanged = false
    /// What endpoints are told of.
    var events: [(tenant: TenantID, event: OutboxEvent)] = []
    /// Lanes that have something to deliver beside what `notifications` and `events` say.
    var lanes: [DeliveryLane] = []
    /// Endpoints that are others now; nil: gone.
    var endpoints: [(lane: DeliveryLane, endpoint: WebhookEndpoint?)] = []

    package init() {}

    package mutating func add(_ other: Effects) {
        notifications += other.notifications
        keyChanges.formUnion(other.keyChanges)
        haveLimitsChanged = haveLimitsChanged || other.haveLimitsChanged
        haveTenantsChanged = haveTenantsChanged || other.haveTenantsChanged
        events += other.events
        lanes += other.lanes
        endpoints += other.endpoints
        logs.merge(other.logs) { $0 || $1 }
        reindexed.formUnion(other.reindexed)
    }
}

/// Whose log.
struct ProjectLog: Hashable, Sendable {
    let tenant: TenantID
    let project: Name
}

extension Command {
    /// About the bytes of its encoding.
    var weight: Int {
        switch self {
        case .publish(let command):
            command.data.count + command.metadata.count
                + command.units.reduce(0) { sum, unit in
                    unit.nodes.reduce(sum) { $0 + $1.identity.data.count + 64 } + (unit.vectors ?? []).reduce(0) { $0 + 4 * $1.count }
                }
        case .importProject(let command):
            (command.events ?? []).reduce(0) { $0 + $1.data.count + 64 }
                + command.documents.flatMap(\.units).reduce(64) { sum, unit in
                    unit.nodes.reduce(sum) { $0 + $1.data.count + 64 } + unit.vectors.reduce(0) { $0 + 4 * $1.count }
                }
        case .register(let command): command.search.needs.count * (4 * command.search.dimension + 64) + 256
        case .noteDeliveries(let command): command.notes.reduce(64) { $0 + 256 + ($1.dead.count + $1.records.count) * 256 }
        case .announce(let command): command.data.count + 256
        case .changeEndpoint: 4_096
        case .delete, .unregister, .setAnalyzer, .changeKeys, .keepQueries, .acknowledge, .expireInboxes, .changeLetters, .setRateLimit, .trim,
            .setRetention, .erase:
            512
        case .changeTenant(let command): command.weight
        case .eraseTenant, .setTenancy, .assembled: 128
        case .keepPart(let command): command.bytes.count + 64
        case .noteAudit(let command): command.drafts.count * 512 + 64
        case .changeAccounts, .changeRoles, .setGrants: 4_096
        case .judge: 1_024
        case .attributed(let attributed): attributed.command.weight + 512
        }
    }
}
