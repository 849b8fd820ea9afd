public import Base
public import Content
public import Engine
internal import Events
internal import Inboxes
internal import Needs

/// Agents: what a registration came to, how an agent stands, what is in its inbox.
public enum AgentShape {
    public static func registered(_ registration: Registration) -> JSONObject {
        var answer = JSONObject([
            ("status", "registered"), ("agent_id", .string(registration.agent.text)), ("project_id", .string(registration.project.text)),
            ("caught_up_events", .integer(registration.caughtUpEvents)),
            ("current_sequence", .string(registration.currentSequence.description)), ("matched_needs", matchedNeeds(registration)),
            ("notification_channel", .string(registration.channel)),
        ])
        if let last = registration.caughtUpTo { answer["caught_up_to"] = .string(last.description) }
        return answer
    }

    /// One registration of a batch.
    public static func batchItem(_ registration: Registration) -> JSONValue {
        [
            "status": "success", "agent_id": .string(registration.agent.text), "project_id": .string(registration.project.text),
            "matched_needs": matchedNeeds(registration), "notification_channel": .string(registration.channel),
        ]
    }

    /// The agents of a page, by their names as the original lists them, and with their projects.
    public static func names(_ agents: [ListedAgent]) -> JSONMembers {
        var answer = JSONMembers()
        answer.add("agents", .array(agents.map { .string($0.agent.text) }))
        answer.add("count", .integer(agents.count))
        answer.add("registrations", .array(agents.map { ["agent_id": .string($0.agent.text), "project_id": .string($0.project.text)] }))
        return answer
    }

    /// A page of an inbox, as text: the data stands in it as the store has it.
    public static func inbox(_ page: InboxPage) -> [UInt8] {
        var answer = JSONMembers()
        answer.add("project_id", .string(page.project.text))
        answer.add("agent_id", .string(page.agent.text))
        answer.add("entries", text: JSONMembers.list(page.items.map(entry)))
        answer.add("cursor", .string(page.cursor.description))
        answer.add("has_more", .bool(page.hasMore))
        answer.add("gap", .bool(page.hasGap))
        return answer.text
    }

    private static func entry(_ item: InboxItem) -> [UInt8] {
        let event = item.event
        var members = JSONMembers()
        members.add("cursor", .string(item.cursor.description))
        members.add("sequence", .string(event.sequence.description))
        members.add("reason", .string(item.reason.word))
        members.add("needs", .array(item.needs.map(JSONValue.string)))
        if let matches = item.matches { members.add("matches", NeedShape.matches(matches)) }
        members.add("event_type", .string(event.type))
        members.add("data_key", .string(event.key))
        members.add("data", text: event.data)
        members.add("timestamp", .string(event.recordedAt.iso8601))
        if !event.metadata.isEmpty { members.add("metadata", text: event.metadata) }
        if let publisher = event.publisher { members.add("published_by", publisher.json) }
        return members.text
    }

    public static func matchedNeeds(_ registration: Registration) -> JSONValue {
        .object(JSONObject(registration.matchedNeeds.map { ($0.need, .integer($0.count)) }))
    }

    /// With what an agent is registered. The secret is shown to nobody, only that there is one.
    public static func status(_ agent: AgentStatus) -> JSONObject {
        let record = agent.record
        var members = JSONObject([
            ("project_id", .string(agent.project.text)), ("needs", .array(record.needs.map(JSONValue.string))),
            ("notification_method", record.delivery == .webhook ? "webhook" : "redis"),
            ("response_format", .string(record.responseFormat)), ("channel", .string(record.channel)),
            ("webhook_url", record.webhookURL.map(JSONValue.string) ?? .null),
            ("webhook_secret", record.webhookSecret == nil ? .null : "********"),
            ("data_keys", .array(agent.nodeKeys.map(JSONValue.string))), ("last_sequence", .string(agent.lastSequence.description)),
        ])
        if record.envelope == .full { members["envelope"] = "full" }
        for (name, value) in record.settings.members { members[name] = value }
        if !record.lessons.isEmpty { members["feedback"] = .array(record.learned.map(learned)) }
        if record.delivery == .webhook { members["delivery"] = .object(delivery(agent)) }
        return members
    }

    /// What became of what an agent said of its deliveries.
    public static func feedback(_ feedback: Feedback) -> JSONObject {
        JSONObject([
            ("project_id", .string(feedback.project.text)), ("agent_id", .string(feedback.agent.text)), ("changed", .integer(feedback.changed)),
            ("needs", .array(feedback.needs.map(learned))),
        ])
    }

    /// What a need has learned, and what it comes to: sigmoid(logit(usual) + shift).
    private static func learned(_ need: LearnedNeed) -> JSONValue {
        [
            "need": .string(need.need), "judged": .integer(need.judged), "useful": .integer(need.useful), "shift": .double(need.shift),
            "usual_min_similarity": need.usual.map { .double($0) } ?? .null, "min_similarity": need.cut.map { .double($0) } ?? .null,
        ]
    }

    /// How the webhook is doing.
    private static func delivery(_ agent: AgentStatus) -> JSONObject {
        let status = agent.delivery ?? DeliveryStatus()
        var members = JSONObject([("state", agent.isStopped ? "stopped" : status.isDisabled ? "disabled" : "active")])
        for (name, value) in delivery(status) { members[name] = value }
        if status.isDisabled { members["reason"] = "the receiver said that it is gone (410): register the agent again" }
        if agent.isStopped {
            members["reason"] = "the API key that registered this agent was revoked or lost its rights here: register it again with a valid key"
        }
        return members
    }

    /// Of an agent's webhook or an endpoint.
    static func delivery(_ status: DeliveryStatus) -> JSONObject {
        JSONObject([
            ("delivered", .integer(status.delivered)), ("last_delivered_at", status.lastDelivered.map { .string($0.iso8601) } ?? .null),
            ("last_error", status.lastFailure.map { ["time": .string($0.time.iso8601), "reason": .string($0.reason)] } ?? .null),
            ("pending", .integer(status.pending)), ("given_up", .integer(status.givenUp)), ("dead_letters", .integer(status.dead)),
            ("attempts", .integer(status.attempts)), ("next_attempt_at", status.nextAttempt.map { .string($0.iso8601) } ?? .null),
            ("breaker", .string(status.breaker.rawValue)),
        ])
    }
}
