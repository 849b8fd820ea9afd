internal import Base
internal import Outbox

extension Command {
    /// How far deliveries have come: of many receivers at once, since each command that is alone costs an fsync.
    package struct NoteDeliveries: Sendable {
        let tenant: TenantID
        let notes: [DeliveryNote]
        let time: Timestamp
    }

    /// What becomes of dead letters.
    package struct ChangeLetters: Sendable {
        enum Change: UInt8, Sendable {
            /// They are to be sent again, each once.
            case replay = 1
            case remove = 2
        }
        let tenant: TenantID
        let lane: DeliveryLane.Subject
        let change: Change
        /// None: all.
        let numbers: [UInt64]
        let time: Timestamp
    }

    /// An endpoint is entered, changed or removed.
    package struct ChangeEndpoint: Sendable {
        enum Change: Sendable {
            case create(WebhookEndpoint)
            case update(EndpointPatch)
            /// A new secret; the present one goes on beside it until then.
            case rotate(secret: String, until: Timestamp)
            case remove
        }
        let tenant: TenantID
        let number: UInt64
        let change: Change
        let time: Timestamp
    }

    /// An event that no other command makes: a test of an endpoint.
    package struct Announce: Sendable {
        let tenant: TenantID
        let kind: EventKind
        let project: String
        /// 0: all that want it.
        let endpoint: UInt64
        /// JSON, compact.
        let data: [UInt8]
        let time: Timestamp
    }
}
