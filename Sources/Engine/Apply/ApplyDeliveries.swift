// How far deliveries have come, and what endpoints are told of.

internal import Base
internal import Content
internal import Documents
internal import Events
internal import Inboxes
internal import KeySpace
internal import LMDB
internal import Needs
internal import Outbox

extension Applier {
    /// Notes of a lane that is gone, or of an earlier registration or log, change nothing.
    func noteDeliveries(_ command: Command.NoteDeliveries, in transaction: inout WriteTransaction) throws -> Outcome {
        for note in command.notes {
            guard let ledger = try Self.ledger(of: note.lane, command.tenant, in: transaction.view),
                var state = try ledger.state(in: transaction.view), state.registration == note.registration, state.epoch == note.epoch
            else { continue }
            let isAhead = try advance(&state, to: note.settled, ledger, in: transaction.view)
            state.attempts = note.attempts
            state.nextAttempt = note.nextAttempt
            state.isDisabled = state.isDisabled || note.disables
            state.delivered &+= UInt64(note.delivered)
            state.lastDelivered = note.lastDelivered ?? state.lastDelivered
            if let failure = note.failure {
                state.lastFailure = failure.time
                state.failureReason = failure.reason
            }
            state.givenUp &+= UInt64(note.lost)
            // A note that comes twice does not bury twice.
            for letter in note.dead where isAhead {
                state.givenUp &+= 1
                try ledger.bury(letter, max: Limits.deadLetters, &state, in: &transaction)
            }
            for number in note.replayed { try ledger.remove(number, &state, in: &transaction) }
            for returned in note.returned {
                try ledger.change(returned.number, &state, in: &transaction) { letter in
                    letter.isQueued = false
                    letter.attempts += 1
                    letter.time = command.time
                    letter.status = returned.status
                    letter.reason = returned.reason
                }
            }
            for record in note.records { try ledger.record(record, max: Limits.deliveryRecords, &state, in: &transaction) }
            try ledger.store(state, in: &transaction)
            if note.disables, case .endpoint(let number) = note.lane { try switchOff(number, command.tenant, at: command.time, in: &transaction) }
        }
        return .done
    }

    /// - Returns: whether the state had not got so far.
    private func advance(
        _ state: inout DeliveryState, to item: DeliveryItem?, _ ledger: DeliveryLedger, in view: borrowing TransactionView
    ) throws -> Bool {
        guard let item else { return false }
        let before = state
        state.greeting = nil
        switch item {
        case .greeting: break
        case .missed(let sequence): state.missedAfter = max(state.missedAfter, min(sequence, state.missedTo))
        case .entry(let sequence):
            state.missedAfter = state.missedTo
            let end = try Inbox(scope: ledger.scope, number: UInt32(truncatingIfNeeded: ledger.lane)).state(in: view).last.rawValue
            state.settled = max(state.settled, min(sequence.rawValue, end))
        case .event(let number):
            state.settled = max(state.settled, min(number, try EventOutbox(tenant: ledger.scope.tenant).state(in: view).last))
        }
        return state != before
    }

    private func switchOff(_ number: UInt64, _ tenant: TenantID, at time: Timestamp, in transaction: inout WriteTransaction) throws {
        let outbox = EventOutbox(tenant: tenant)
        guard var endpoint = try outbox.endpoint(number, in: transaction.view) else { return }
        endpoint.isActive = false
        endpoint.updatedAt = time
        try outbox.put(endpoint, in: &transaction)
    }

    /// nil for an agent that is not there, or not told by webhook; an endpoint's may have no state.
    static func ledger(of lane: DeliveryLane.Subject, _ tenant: TenantID, in view: borrowing TransactionView) throws -> DeliveryLedger? {
        switch lane {
        case .endpoint(let number): return DeliveryLedger(scope: TenantScope(tenant: tenant, project: .tenantLevel), lane: number)
        case .agent(let name, let project):
            guard let scope = try ProjectRegistry(tenant: tenant).scope(of: project, in: view),
                let agent = try NeedStore(scope: scope).agent(name, in: view), agent.delivery == .webhook
            else { return nil }
            return DeliveryLedger(scope: scope, lane: UInt64(agent.inbox))
        }
    }

    func changeLetters(_ command: Command.ChangeLetters, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        guard let ledger = try Self.ledger(of: command.lane, command.tenant, in: transaction.view), var state = try ledger.state(in: transaction.view)
        else { throw ContexError(.deliveryNotFound, "Nothing is delivered there") }
        var numbers = command.numbers
        if numbers.isEmpty {
            try ledger.forEachLetter(in: transaction.view) { number, letter in
                if command.change == .remove || !letter.isQueued { numbers.append(number) }
                return .onward
            }
        }
        var count = 0
        for number in numbers {
            let isDone =
                switch command.change {
                case .replay: try ledger.change(number, &state, in: &transaction) { $0.isQueued = true }
                case .remove: try ledger.remove(number, &state, in: &transaction)
                }
            if isDone { count += 1 }
        }
        guard count > 0 || command.numbers.isEmpty else {
            throw ContexError(.deliveryNotFound, "There is no dead letter of that number")
        }
        if count > 0 { try ledger.store(state, in: &transaction) }
        if command.change == .replay { work.effects.lanes.append(DeliveryLane(tenant: command.tenant, command.lane)) }
        return .removed(count)
    }

    /// A registration begins its deliveries: the initial context, what it missed, what comes. What still waits for the registration before it is
    /// in its context.
    func beginDeliveries(
        _ agent: AgentRecord, _ asked: RegisterCommand, missed: [EventRecord], _ scope: TenantScope, in transaction: inout WriteTransaction
    ) throws {
        let ledger = DeliveryLedger(scope: scope, lane: UInt64(agent.inbox))
        let before = try ledger.state(in: transaction.view)
        guard agent.delivery == .webhook else {
            if before != nil { try ledger.removeAll(in: &transaction) }
            return
        }
        let (log, inbox) = (try EventLog(scope: scope).head(in: transaction.view), try Inbox(scope: scope, number: agent.inbox).state(in: transaction.view))
        var state = before ?? DeliveryState(registration: agent.number, epoch: log.epoch, settled: 0)
        state.registration = agent.number
        state.epoch = log.epoch
        state.settled = inbox.last.rawValue
        state.greeting = asked.greeting ?? .init()
        (state.missedAfter, state.missedTo) = missed.last.map { (asked.lastSeen, $0.sequence) } ?? (.zero, .zero)
        (state.attempts, state.nextAttempt, state.isDisabled) = (0, Timestamp(rawValue: 0), false)
        try ledger.store(state, in: &transaction)
    }

    /// Agents that earlier builds registered have no state yet: they are told of what comes from now on.
    func adoptDeliveries(_ agent: AgentRecord, _ scope: TenantScope, in transaction: inout WriteTransaction) throws {
        let ledger = DeliveryLedger(scope: scope, lane: UInt64(agent.inbox))
        guard try ledger.state(in: transaction.view) == nil else { return }
        let last = try Inbox(scope: scope, number: agent.inbox).state(in: transaction.view).last
        let epoch = try EventLog(scope: scope).head(in: transaction.view).epoch
        try ledger.store(DeliveryState(registration: agent.number, epoch: epoch, settled: last.rawValue), in: &transaction)
    }

    /// Another log takes the place of a project's: nothing of the old one is delivered any more.
    func restartDeliveries(_ scope: TenantScope, in transaction: inout WriteTransaction) throws {
        let epoch = try EventLog(scope: scope).head(in: transaction.view).epoch
        for lane in try DeliveryLedger.lanes(scope, in: transaction.view) {
            let ledger = DeliveryLedger(scope: scope, lane: lane)
            guard var state = try ledger.state(in: transaction.view) else { continue }
            var gone: [UInt64] = []
            try ledger.forEachLetter(in: transaction.view) { number, letter in
                if letter.item != .greeting { gone.append(number) }
                return .onward
            }
            for number in gone { try ledger.remove(number, &state, in: &transaction) }
            state.epoch = epoch
            (state.settled, state.missedAfter, state.missedTo) = (0, .zero, .zero)
            (state.attempts, state.nextAttempt) = (0, Timestamp(rawValue: 0))
            try ledger.store(state, in: &transaction)
        }
    }

    /// Entries of an inbox go because they are old: those that were not delivered are counted as given up.
    func noteExpired(_ inbox: Inbox, upTo last: Sequence, at time: Timestamp, in transaction: inout WriteTransaction) throws {
        let ledger = DeliveryLedger(scope: inbox.scope, lane: UInt64(inbox.number))
        guard var state = try ledger.state(in: transaction.view), state.settled < last.rawValue else { return }
        var lost: UInt64 = 0
        try inbox.forEach(after: Sequence(rawValue: state.settled), in: transaction.view) { entry in
            guard entry.sequence <= last else { return .stop }
            lost += 1
            return .onward
        }
        state.settled = last.rawValue
        (state.attempts, state.nextAttempt) = (0, Timestamp(rawValue: 0))
        guard lost > 0 else { return try ledger.store(state, in: &transaction) }
        state.givenUp &+= lost
        state.lastFailure = time
        state.failureReason = "\(lost) messages were not delivered before their entries in the inbox became too old"
        try ledger.store(state, in: &transaction)
    }

    // MARK: - Endpoints

    func changeEndpoint(_ command: Command.ChangeEndpoint, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        let outbox = EventOutbox(tenant: command.tenant)
        let lane = DeliveryLane(tenant: command.tenant, .endpoint(command.number))
        let ledger = DeliveryLedger(scope: outbox.scope, lane: command.number)
        if case .create(let endpoint) = command.change {
            try admit(QuotaDemand(webhook: true), of: command.tenant, at: command.time, in: transaction)
            let present = try outbox.endpoints(in: transaction.view)
            guard present.count < Limits.webhookEndpoints else {
                throw ContexError(.limited, "There are \(Limits.webhookEndpoints) webhook endpoints, the most there can be")
            }
            guard !present.contains(where: { $0.number == endpoint.number }) else { throw ContexError(.conflict, "The endpoint is there already") }
            try outbox.put(endpoint, in: &transaction)
            try ledger.store(
                DeliveryState(registration: 0, epoch: 0, settled: try outbox.state(in: transaction.view).last), in: &transaction)
            work.effects.endpoints.append((lane, endpoint))
            return .endpoint(endpoint)
        }
        guard var endpoint = try outbox.endpoint(command.number, in: transaction.view) else {
            throw ContexError(.endpointNotFound, "Endpoint '\(WebhookEndpoint.id(of: command.number))' not found")
        }
        endpoint.updatedAt = command.time
        switch command.change {
        case .create: break
        case .remove:
            try outbox.remove(command.number, in: &transaction)
            work.effects.endpoints.append((lane, nil))
            return .done
        case .rotate(let secret, let until):
            endpoint.previousSecret = endpoint.secret
            endpoint.previousUntil = until
            endpoint.secret = secret
        case .update(let patch):
            endpoint.apply(patch)
            if patch.isActive == true, var state = try ledger.state(in: transaction.view), state.isDisabled {
                state.isDisabled = false
                (state.attempts, state.nextAttempt) = (0, Timestamp(rawValue: 0))
                try ledger.store(state, in: &transaction)
            }
        }
        try outbox.put(endpoint, in: &transaction)
        work.effects.endpoints.append((lane, endpoint))
        return .endpoint(endpoint)
    }

    func announce(_ command: Command.Announce, _ work: inout Work, in transaction: inout WriteTransaction) throws -> Outcome {
        if command.endpoint != 0, try EventOutbox(tenant: command.tenant).endpoint(command.endpoint, in: transaction.view) == nil {
            throw ContexError(.endpointNotFound, "Endpoint '\(WebhookEndpoint.id(of: command.endpoint))' not found")
        }
        let event = try EventOutbox(tenant: command.tenant).append(
            command.kind, project: command.project, endpoint: command.endpoint, data: { command.data }, at: command.time, max: Limits.outboxEvents,
            in: &transaction)
        guard let event else { return .done }
        work.effects.events.append((command.tenant, event))
        return .announced(event)
    }

    /// Tells the endpoints that want it.
    func tellEndpoints(
        _ kind: EventKind, _ tenant: TenantID, _ project: Name?, at time: Timestamp, _ effects: inout Effects, in transaction: inout WriteTransaction,
        _ data: () -> [(String, JSONValue)]
    ) throws {
        let event = try EventOutbox(tenant: tenant).append(
            kind, project: project?.text ?? "", data: { JSONPrinter.bytes(.object(JSONObject(data()))) }, at: time, max: Limits.outboxEvents,
            in: &transaction)
        if let event { effects.events.append((tenant, event)) }
    }

    /// The scope of a project, which begins now if it is new.
    func entering(_ project: Name, _ tenant: TenantID, at time: Timestamp, _ effects: inout Effects, in transaction: inout WriteTransaction) throws
        -> TenantScope
    {
        let registry = ProjectRegistry(tenant: tenant)
        if let known = try registry.scope(of: project, in: transaction.view) { return known }
        if effects.reached == nil { try admit(QuotaDemand(projects: 1), of: tenant, at: time, in: transaction) }
        let scope = try registry.scopeCreating(project, at: time, in: &transaction)
        try tellEndpoints(.projectCreated, tenant, project, at: time, &effects, in: &transaction) { [("project_id", .string(project.text))] }
        return scope
    }
}

extension WebhookEndpoint {
    mutating func apply(_ patch: EndpointPatch) {
        name = patch.name ?? name
        if let description = patch.description { self.description = description }
        url = patch.url ?? url
        events = patch.events ?? events
        categories = patch.categories ?? categories
        projects = patch.projects ?? projects
        isActive = patch.isActive ?? isActive
        timeoutSeconds = patch.timeoutSeconds ?? timeoutSeconds
        retriesMax = patch.retriesMax ?? retriesMax
    }
}

extension RegisterCommand {
    /// How the context that a webhook is greeted with is to be packed, when the registration says anything of it.
    var greeting: DeliveryState.Greeting? {
        guard delivery == .webhook, maxTokens != nil || diversity != nil || !pinned.isEmpty else { return nil }
        return .init(tokensMax: maxTokens.map { UInt32(clamping: $0) }, diversity: diversity, pinned: pinned)
    }
}
