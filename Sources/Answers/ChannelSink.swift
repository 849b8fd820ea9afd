internal import Base
public import Engine
internal import Needs
internal import Synchronization

/// Delivers to the subscribers of the agent's channel.
public final class ChannelSink: NotificationSink {
    /// What agents are told alike: the same change of the same document in the same format.
    private struct Saying: Equatable {
        let tenant: TenantID
        let project: Name
        let sequence: Sequence
        let key: String
        let format: String
        let isDeletion: Bool

        init?(_ notification: Notification) {
            // Provenance names the agent's own needs.
            guard notification.agent.envelope == .plain else { return nil }
            switch notification.message {
            case .update(let sequence, let key, _): (self.sequence, self.key, isDeletion) = (sequence, key, false)
            case .deletion(let sequence, let key): (self.sequence, self.key, isDeletion) = (sequence, key, true)
            case .initialContext, .event: return nil
            }
            tenant = notification.tenant
            project = notification.project
            format = notification.agent.responseFormat
        }
    }

    private let hub: ChannelHub
    /// For as long as somebody listens: large texts are not kept for nobody.
    private struct Said {
        let saying: Saying
        weak var payload: ChannelPayload?
    }
    private let last = Mutex<Said?>(nil)

    public init(hub: ChannelHub) { self.hub = hub }

    public func deliver(_ notification: Notification) {
        hub.publish(
            ChannelMessage(
                tenant: notification.tenant, project: notification.project, channel: notification.agent.channel, payload: payload(notification)))
    }

    private func payload(_ notification: Notification) -> ChannelPayload {
        guard let saying = Saying(notification) else { return ChannelPayload(of: notification) }
        return last.withLock { last in
            if let last, last.saying == saying, let payload = last.payload { return payload }
            let payload = ChannelPayload(of: notification)
            last = Said(saying: saying, payload: payload)
            return payload
        }
    }
}
