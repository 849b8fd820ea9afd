// Commands as bytes: docs/formats/commands-v1.md.
//
//     version (1 byte)   kind (1)   body: length, then fields in order
//
// A reader skips what a body has after the fields that it knows, and refuses a version or a kind that it does not know: a later build may add
// fields whose lack changes nothing, and nothing else without a new number. Nodes, events and documents in a body have lengths of
// their own, for the same reason.

internal import Access
internal import Base
internal import Documents
internal import FullText
internal import Hashing
internal import Needs
internal import Outbox
internal import Search
internal import Vectors

enum CommandCodec {
    static let version: UInt8 = 1

    /// Never given twice.
    private enum Kind: UInt8 {
        case publish = 1, delete = 2, register = 3, unregister = 4, setAnalyzer = 5, changeKeys = 6, importProject = 7, keepQueries = 8
        case acknowledge = 9, expireInboxes = 10, noteDeliveries = 11, changeLetters = 12, changeEndpoint = 13, announce = 14
        case setRateLimit = 15, noteAudit = 16, attributed = 17, changeTenant = 18, eraseTenant = 19, setTenancy = 20
        case changeAccounts = 21, changeRoles = 22, setGrants = 23
        case trim = 24, setRetention = 25, erase = 26, publishEnding = 27
        case keepPart = 33, assembled = 34
        case judge = 28
    }

    /// - Parameter eliding: leaves out of a publish what its event has; whoever reads it brings the event.
    static func encode(_ command: Command, eliding: Bool = false) -> [UInt8] {
        var body = ByteWriter(capacity: command.weight + 128)
        let kind: Kind
        switch command {
        case .publish(let command):
            // Of another kind, so that a build that knows nothing of it refuses it, and does not keep for ever what is to end.
            kind = command.expiresAt == nil ? .publish : .publishEnding
            if let time = command.expiresAt {
                var part = ByteWriter(capacity: command.data.count + 1_024)
                encode(command, eliding, &part)
                body.u32(command.tenant.rawValue)
                body.i64(command.time.rawValue)
                body.i64(time.rawValue)
                body.blob(part.bytes)
            } else {
                encode(command, eliding, &body)
            }
        case .delete(let command):
            kind = .delete
            body.u32(command.tenant.rawValue)
            body.i64(command.time.rawValue)
            body.text(command.project.text)
            body.text(command.key.text)
            body.publisher(command.publisher)
        case .register(let command):
            kind = .register
            encode(command, &body)
        case .unregister(let command):
            kind = .unregister
            body.u32(command.tenant.rawValue)
            body.i64(command.time.rawValue)
            body.text(command.agent.text)
            body.list(command.projects) { $0.text($1.text) }
        case .setAnalyzer(let command):
            kind = .setAnalyzer
            body.u32(command.tenant.rawValue)
            body.i64(command.time.rawValue)
            body.text(command.project.text)
            body.text(command.kind.name)
        case .changeKeys(let command):
            kind = .changeKeys
            encode(command, &body)
        case .importProject(let command):
            kind = .importProject
            encode(command, &body)
        case .keepQueries(let command):
            kind = .keepQueries
            body.u32(command.tenant.rawValue)
            body.i64(command.time.rawValue)
            body.list(command.queries) {
                $0.text($1.project.text)
                $0.text($1.text)
                $0.u32($1.uses)
            }
        case .acknowledge(let command):
            kind = .acknowledge
            body.u32(command.tenant.rawValue)
            body.i64(command.time.rawValue)
            body.text(command.project.text)
            body.text(command.agent.text)
            body.u32(command.cursor.epoch)
            body.u64(command.cursor.sequence.rawValue)
        case .expireInboxes(let command):
            kind = .expireInboxes
            body.u32(command.tenant.rawValue)
            body.i64(command.time.rawValue)
            body.i64(command.before.rawValue)
            body.varint(UInt64(command.count))
        case .noteDeliveries(let command):
            kind = .noteDeliveries
            encode(command, &body)
        case .changeLetters(let command):
            kind = .changeLetters
            encode(command, &body)
        case .changeEndpoint(let command):
            kind = .changeEndpoint
            encode(command, &body)
        case .announce(let command):
            kind = .announce
            encode(command, &body)
        case .setRateLimit(let command):
            kind = .setRateLimit
            encode(command, &body)
        case .noteAudit(let command):
            kind = .noteAudit
            encode(command, &body)
        case .trim(let command):
            kind = .trim
            encode(command, &body)
        case .setRetention(let command):
            kind = .setRetention
            encode(command, &body)
        case .erase(let command):
            kind = .erase
            encode(command, &body)
        case .changeAccounts(let command):
            kind = .changeAccounts
            encode(command, &body)
        case .changeRoles(let command):
            kind = .changeRoles
            encode(command, &body)
        case .setGrants(let command):
            kind = .setGrants
            encode(command, &body)
        case .changeTenant(let command):
            kind = .changeTenant
            encode(command, &body)
        case .eraseTenant(let command):
            kind = .eraseTenant
            encode(command, &body)
        case .setTenancy(let command):
            kind = .setTenancy
            encode(command, &body)
        case .keepPart(let command):
            kind = .keepPart
            encode(command, &body)
        case .assembled(let command):
            kind = .assembled
            encode(command, &body)
        case .judge(let command):
            kind = .judge
            encode(command, &body)
        case .attributed(let command):
            kind = .attributed
            encode(command, eliding, &body)
        }
        var writer = ByteWriter(capacity: body.bytes.count + 8)
        writer.u8(version)
        writer.u8(kind.rawValue)
        writer.blob(body.bytes)
        return writer.bytes
    }

    /// - Parameter event: what a publish left out.
    /// - Throws: `.damaged` for a version or kind that this build does not know, and for bytes that are no command.
    static func decode(_ bytes: [UInt8], event: ElidedEvent? = nil) throws(ContexError) -> Command {
        do {
            var reader = ByteReader(bytes)
            let version = try reader.u8()
            guard version == Self.version else { throw ContexError.damaged("the command is of version \(version), this build reads \(Self.version)") }
            let number = try reader.u8()
            guard let kind = Kind(rawValue: number) else { throw ContexError.damaged("the command is of kind \(number), which this build does not know") }
            var body = ByteReader(try reader.blob())
            try reader.end()
            return try command(kind, &body, event)
        } catch let error as ContexError {
            throw error.category == .damaged ? error : .damaged("the command cannot be read: \(error.message)")
        } catch {
            throw .damaged("the command cannot be read: \(error)")
        }
    }

    private static func command(_ kind: Kind, _ body: inout ByteReader, _ event: ElidedEvent?) throws -> Command {
        let tenant = TenantID(rawValue: try body.u32())
        let time = Timestamp(rawValue: try body.i64())
        switch kind {
        case .publish: return .publish(try publish(tenant, time, &body, event))
        case .publishEnding:
            let end = Timestamp(rawValue: try body.i64())
            var part = ByteReader(try body.blob())
            guard try part.u32() == tenant.rawValue, try part.i64() == time.rawValue else { throw ByteError.malformed(at: body.offset) }
            var command = try publish(tenant, time, &part, event)
            command.expiresAt = end
            return .publish(command)
        case .delete:
            return .delete(
                .init(tenant: tenant, project: try body.name(), key: try body.name(), publisher: try body.publisher(), time: time))
        case .register: return .register(try register(tenant, time, &body))
        case .unregister:
            return .unregister(.init(tenant: tenant, agent: try body.name(), projects: try body.list { try $0.name() }, time: time))
        case .setAnalyzer:
            let project = try body.name()
            return .setAnalyzer(.init(tenant: tenant, project: project, kind: try analyzer(try body.text()), time: time))
        case .changeKeys: return .changeKeys(try changeKeys(tenant, time, &body))
        case .importProject: return .importProject(try importProject(tenant, time, &body))
        case .keepQueries:
            let queries = try body.list { Command.KeepQueries.Query(project: try $0.name(), text: try $0.text(), uses: try $0.u32()) }
            return .keepQueries(.init(tenant: tenant, queries: queries, time: time))
        case .acknowledge:
            let (project, agent) = (try body.name(), try body.name())
            let cursor = InboxCursor(epoch: try body.u32(), sequence: Sequence(rawValue: try body.u64()))
            return .acknowledge(.init(tenant: tenant, project: project, agent: agent, cursor: cursor, time: time))
        case .expireInboxes:
            return .expireInboxes(.init(tenant: tenant, before: Timestamp(rawValue: try body.i64()), count: try body.count(), time: time))
        case .noteDeliveries: return .noteDeliveries(try noteDeliveries(tenant, time, &body))
        case .changeLetters: return .changeLetters(try changeLetters(tenant, time, &body))
        case .changeEndpoint: return .changeEndpoint(try changeEndpoint(tenant, time, &body))
        case .announce: return .announce(try announce(tenant, time, &body))
        case .setRateLimit: return .setRateLimit(try setRateLimit(tenant, time, &body))
        case .noteAudit: return .noteAudit(try noteAudit(tenant, time, &body))
        case .trim: return .trim(try trim(tenant, time, &body))
        case .setRetention: return .setRetention(try setRetention(tenant, time, &body))
        case .erase: return .erase(try erase(tenant, time, &body))
        case .changeAccounts: return .changeAccounts(try changeAccounts(tenant, time, &body))
        case .changeRoles: return .changeRoles(try changeRoles(tenant, time, &body))
        case .setGrants: return .setGrants(try setGrants(tenant, time, &body))
        case .changeTenant: return .changeTenant(try changeTenant(tenant, time, &body))
        case .eraseTenant: return .eraseTenant(try eraseTenant(tenant, time, &body))
        case .setTenancy: return .setTenancy(try setTenancy(tenant, time, &body))
        case .keepPart: return .keepPart(try keepPart(tenant, time, &body))
        case .assembled: return .assembled(try assembled(tenant, time, &body))
        case .judge: return .judge(try judge(tenant, time, &body))
        case .attributed: return .attributed(try attributed(tenant, &body, event))
        }
    }
}

extension CommandCodec {
    private static func analyzer(_ name: String) throws -> Analyzer.Kind {
        guard let kind = Analyzer.Kind(name: name) else { throw ContexError.damaged("there is no analyser '\(name)'") }
        return kind
    }
}

/// What a publish has in its event.
struct ElidedEvent {
    let type: String
    let format: String
    let data: [UInt8]
    let vector: [Float]?
    let metadata: [UInt8]
    let publisher: Publisher?
}

// MARK: - Publish

extension CommandCodec {
    private static func encode(_ command: Command.Publish, _ eliding: Bool, _ body: inout ByteWriter) {
        body.u32(command.tenant.rawValue)
        body.i64(command.time.rawValue)
        body.text(command.project.text)
        body.text(command.key.text)
        body.bool(eliding)
        if !eliding {
            body.text(command.eventType)
            body.text(command.eventFormat)
            body.blob(command.data)
            body.vector(command.vector ?? [])
            body.blob(command.metadata)
            body.publisher(command.publisher)
        }
        body.text(command.format)
        body.raw(command.fingerprint.bytes)
        body.routing(command.routing)
        body.list(command.units) { list, unit in
            var part = ByteWriter(capacity: 64)
            part.list(unit.nodes) { nodes, node in
                nodes.text(node.identity.path)
                nodes.text(node.identity.kind)
                nodes.text(node.identity.format)
                nodes.text(node.identity.description.text)
                // A document of one node has its data in it once more.
                let isWhole = node.identity.data == command.data
                nodes.bool(isWhole)
                if !isWhole { nodes.blob(node.identity.data) }
                nodes.varint(UInt64(node.tokenCount))
            }
            part.text(unit.nodes[0].identity.context.text)
            part.extent(.init(of: 0, in: 1, unit.passages))
            let isOwn = unit.nodes[0].identity.ownVector != nil
            part.u8(unit.vectors == nil ? 0 : isOwn ? 1 : 2)
            if !isOwn { for vector in unit.vectors ?? [] { part.vector(vector) } }
            part.bool(isOwn)
            list.blob(part.bytes)
        }
    }

    private static func publish(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader, _ event: ElidedEvent?) throws -> Command.Publish {
        let (project, key) = (try body.name(), try body.name())
        let elided: ElidedEvent
        if try body.bool() {
            guard let event else { throw ContexError.damaged("the publish of '\(key)' refers to an event that is not there") }
            elided = event
        } else {
            let (type, format, data) = (try body.text(), try body.text(), Array(try body.blob()))
            let vector = try body.vector()
            let metadata = Array(try body.blob())
            elided = ElidedEvent(
                type: type, format: format, data: data, vector: vector.isEmpty ? nil : vector, metadata: metadata, publisher: try body.publisher())
        }
        let format = try body.text()
        let fingerprint = try body.sha256()
        let routing = try body.routing()
        let units = try body.list { list in
            var part = ByteReader(try list.blob())
            let nodes = try part.list { nodes in
                let (path, kind, format, description) = (try nodes.text(), try nodes.text(), try nodes.text(), try nodes.text())
                return (path, kind, format, description, data: try nodes.bool() ? elided.data : Array(try nodes.blob()), tokens: try nodes.count())
            }
            let context = try part.text()
            let passages = try Self.passages(&part, nodes: nodes.count)
            let mode = try part.u8()
            let inline = mode == 2 ? try (0..<max(1, passages.count)).map { _ in try part.vector() } : []
            let isOwn = try part.bool()
            guard mode <= 2, isOwn == (mode == 1) || mode == 0, !isOwn || (elided.vector != nil && nodes.count == 1 && passages.isEmpty) else {
                throw ByteError.malformed(at: part.offset)
            }
            let own = isOwn ? elided.vector.map(VectorMath.stored) : nil
            return Command.Publish.Unit(
                nodes: nodes.map { path, kind, format, description, data, tokens in
                    Command.Publish.Node(
                        identity: NodeIdentity(
                            path: path, kind: kind, format: format, description: description, data: data, context: context, ownVector: own),
                        tokenCount: tokens)
                }, passages: passages, vectors: mode == 0 ? nil : own.map { [$0] } ?? inline)
        }
        return Command.Publish(
            tenant: tenant, project: project, key: key, eventType: elided.type, eventFormat: elided.format, format: format, data: elided.data,
            vector: elided.vector, metadata: elided.metadata, publisher: elided.publisher, fingerprint: fingerprint, units: units, routing: routing,
            time: time)
    }

    /// The passages of a unit of so many nodes: only one node has several.
    private static func passages(_ part: inout ByteReader, nodes: Int) throws -> [PassageBounds] {
        guard nodes > 0 else { throw ByteError.malformed(at: part.offset) }
        switch try part.extent() {
        case .whole: return []
        case .passages(let bounds) where nodes == 1: return bounds
        case .passages, .gathered: throw ByteError.malformed(at: part.offset)
        }
    }
}

// MARK: - Register

extension CommandCodec {
    private static func encode(_ command: Command.Register, _ body: inout ByteWriter) {
        let (agent, search) = (command.agent, command.search)
        body.u32(search.tenant.rawValue)
        body.i64(command.time.rawValue)
        body.text(agent.project.text)
        body.text(agent.agent.text)
        body.u64(agent.lastSeen.rawValue)
        body.u8(agent.delivery.rawValue)
        body.text(agent.responseFormat)
        body.optional(agent.channel)
        body.optional(agent.webhookURL)
        body.optional(agent.webhookSecret)
        body.u8(agent.envelope.rawValue)
        body.publisher(agent.registrant)
        body.bool(agent.keepsSecret)
        body.routing(search.routing)
        body.varint(UInt64(search.matchesMax))
        body.u32(UInt32(search.dimension))
        body.list(Array(zip(search.needs, search.vectors))) {
            $0.text($1.0)
            $0.vector($1.1)
        }
        body.bool(command.found != nil)
        if let found = command.found { encode(found, &body) }
        // Nothing for an agent that says nothing, as commands were before there were settings.
        let greeting = agent.greeting
        if agent.settings != .none || greeting != nil { agent.settings.write(to: &body) }
        guard let greeting else { return }
        body.bool(greeting.tokensMax != nil)
        if let tokens = greeting.tokensMax { body.u32(tokens) }
        body.bool(greeting.diversity != nil)
        if let diversity = greeting.diversity { body.f64(diversity) }
        body.list(greeting.pinned) { $0.text($1) }
    }

    private static func encode(_ found: NeedSearch.Found, _ body: inout ByteWriter) {
        body.u64(found.stamp.head.rawValue)
        body.u32(found.stamp.lastNode)
        body.varint(UInt64(found.stamp.nodes))
        body.optional(found.stamp.analyzer?.kind.name)
        body.list(found.nodes.sorted { $0.key < $1.key }) {
            $0.u32($1.key.rawValue)
            $0.list($1.value.sorted()) { $0.u32($1.rawValue) }
        }
    }

    private static func register(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.Register {
        let (project, name) = (try body.name(), try body.name())
        let lastSeen = Sequence(rawValue: try body.u64())
        guard let delivery = AgentRecord.Delivery(rawValue: try body.u8()) else { throw ByteError.malformed(at: body.offset) }
        let responseFormat = try body.text()
        let (channel, url, secret) = (try body.optional(), try body.optional(), try body.optional())
        guard let envelope = AgentRecord.Envelope(rawValue: try body.u8()) else { throw ByteError.malformed(at: body.offset) }
        let registrant = try body.publisher()
        let keepsSecret = try body.bool()
        let routing = try body.routing()
        let matchesMax = try body.count()
        let dimension = Int(try body.u32())
        var (needs, vectors): ([String], [[Float]]) = ([], [])
        for _ in 0..<(try body.count(limit: body.remaining)) {
            needs.append(try body.text())
            let vector = try body.vector()
            guard vector.isEmpty || vector.count == dimension else { throw ByteError.malformed(at: body.offset) }
            vectors.append(vector)
        }
        var found: NeedSearch.Found?
        if try body.bool() {
            var stamp = NeedSearch.Stamp(head: Sequence(rawValue: try body.u64()), lastNode: try body.u32(), nodes: try body.count())
            stamp.analyzer = try body.optional().map { Analyzer(try Self.analyzer($0)) }
            var nodes: [DocumentID: Set<NodeID>] = [:]
            for _ in 0..<(try body.count(limit: body.remaining)) {
                let document = DocumentID(rawValue: try body.u32())
                nodes[document] = Set(try body.list { NodeID(rawValue: try $0.u32()) })
            }
            found = NeedSearch.Found(stamp: stamp, context: InitialContext(needs: needs.map { ($0, []) }), nodes: nodes)
        }
        var agent = RegisterCommand(
            project: project, agent: name, needs: needs, lastSeen: lastSeen, delivery: delivery, responseFormat: responseFormat, channel: channel,
            webhookURL: url, webhookSecret: secret)
        agent.envelope = envelope
        agent.registrant = registrant
        agent.keepsSecret = keepsSecret
        if body.remaining > 0 { agent.settings = try NeedSettings.read(&body) }
        if body.remaining > 0 {
            if try body.bool() { agent.maxTokens = Int(try body.u32()) }
            if try body.bool() {
                let diversity = try body.f64()
                guard diversity.isFinite else { throw ByteError.malformed(at: body.offset) }
                agent.diversity = diversity
            }
            agent.pinned = try body.list { try $0.text() }
            guard agent.greeting != nil else { throw ByteError.malformed(at: body.offset) }
        }
        let search = NeedSearch(
            tenant: tenant, project: project, needs: needs, vectors: vectors, dimension: dimension, routing: routing, matchesMax: matchesMax,
            own: agent.settings, packing: nil)
        return Command.Register(agent: agent, search: search, found: found, time: time)
    }
}

// MARK: - Keys and roles

extension CommandCodec {
    private static func encode(_ command: Command.ChangeKeys, _ body: inout ByteWriter) {
        body.u32(command.tenant.rawValue)
        body.i64(command.time.rawValue)
        body.list(command.reach.projects) { $0.text($1) }
        body.u8(command.asker.rawValue)
        switch command.change {
        case .create(let record, let role, let terms):
            body.u8(terms.isEmpty ? 1 : 6)
            body.key(record)
            body.bool(role != nil)
            if let role { body.role(role) }
            if !terms.isEmpty { terms.write(to: &body) }
        case .setTerms(let id, let terms):
            body.u8(7)
            body.u64(id.rawValue)
            terms.write(to: &body)
        case .rotate(let id, let record, let until):
            body.u8(8)
            body.u64(id.rawValue)
            body.key(record)
            body.bool(until != nil)
            if let until { body.i64(until.rawValue) }
        case .confirm(let id):
            body.u8(2)
            body.u64(id.rawValue)
        case .revoke(let id):
            body.u8(3)
            body.u64(id.rawValue)
        case .assign(let role):
            body.u8(4)
            body.role(role)
        case .removeRole(let id):
            body.u8(5)
            body.u64(id.rawValue)
        }
    }

    private static func changeKeys(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.ChangeKeys {
        let reach = ProjectScope(try body.list { try $0.text() })
        guard let asker = Command.ChangeKeys.Asker(rawValue: try body.u8()) else { throw ByteError.malformed(at: body.offset) }
        let change: Command.ChangeKeys.Change
        let number = try body.u8()
        switch number {
        case 1, 6:
            let record = try body.key(tenant)
            let role = try body.bool() ? try body.role() : nil
            let terms = number == 6 ? try KeyTerms.read(&body) : KeyTerms()
            guard terms.isEmpty == (number == 1) else { throw ByteError.malformed(at: body.offset) }
            change = .create(record, role, terms)
        case 7: change = .setTerms(KeyID(rawValue: try body.u64()), try KeyTerms.read(&body))
        case 8:
            let (id, record) = (KeyID(rawValue: try body.u64()), try body.key(tenant))
            change = .rotate(id, record, formerUntil: try body.bool() ? Timestamp(rawValue: try body.i64()) : nil)
        case 2: change = .confirm(KeyID(rawValue: try body.u64()))
        case 3: change = .revoke(KeyID(rawValue: try body.u64()))
        case 4: change = .assign(try body.role())
        case 5: change = .removeRole(KeyID(rawValue: try body.u64()))
        case let other: throw ContexError.damaged("the change of keys is of kind \(other), which this build does not know")
        }
        return Command.ChangeKeys(tenant: tenant, change: change, reach: reach, asker: asker, time: time)
    }
}

// MARK: - Import

extension CommandCodec {
    private static func encode(_ command: Command.ImportProject, _ body: inout ByteWriter) {
        body.u32(command.tenant.rawValue)
        body.i64(command.time.rawValue)
        body.text(command.project.text)
        body.bool(command.overwrites)
        body.publisher(command.publisher)
        body.routing(command.routing)
        body.bool(command.events != nil)
        if let events = command.events {
            body.list(events) { list, event in
                var part = ByteWriter(capacity: event.data.count + 64)
                part.text(event.type)
                part.blob(event.data)
                part.optional(event.key?.text)
                part.vector(event.vector ?? [])
                part.blob(event.metadata)
                list.blob(part.bytes)
            }
        }
        body.bool(command.hasNodes)
        body.list(command.documents) { list, document in
            var part = ByteWriter(capacity: 64)
            part.text(document.key.text)
            part.bool(document.metadata != nil)
            if let metadata = document.metadata { part.blob(metadata) }
            part.list(document.units) { units, unit in
                var own = ByteWriter(capacity: unit.vectors.reduce(256) { $0 + 4 * $1.count })
                own.list(unit.nodes) { nodes, node in
                    nodes.text(node.path)
                    nodes.text(node.kind)
                    nodes.text(node.format)
                    nodes.text(node.description)
                    nodes.blob(node.data)
                    nodes.varint(UInt64(node.tokenCount))
                }
                own.text(unit.context)
                own.extent(.init(of: 0, in: 1, unit.passages))
                for vector in unit.vectors { own.vector(vector) }
                own.bool(unit.hasOwnVector)
                units.blob(own.bytes)
            }
            list.blob(part.bytes)
        }
    }

    private static func importProject(_ tenant: TenantID, _ time: Timestamp, _ body: inout ByteReader) throws -> Command.ImportProject {
        let project = try body.name()
        let overwrites = try body.bool()
        let publisher = try body.publisher()
        let routing = try body.routing()
        var events: [Command.ImportProject.Event]?
        if try body.bool() {
            events = try body.list { list in
                var part = ByteReader(try list.blob())
                let (type, data) = (try part.text(), Array(try part.blob()))
                let key = try part.optional().map { try Name($0, field: "data_key") }
                let vector = try part.vector()
                return .init(type: type, data: data, key: key, vector: vector.isEmpty ? nil : vector, metadata: Array(try part.blob()))
            }
        }
        let hasNodes = try body.bool()
        let documents = try body.list { list in
            var part = ByteReader(try list.blob())
            let key = try part.name()
            let metadata = try part.bool() ? Array(try part.blob()) : nil
            let units = try part.list { units in
                var own = ByteReader(try units.blob())
                let nodes = try own.list { nodes in
                    Command.ImportProject.Node(
                        path: try nodes.text(), kind: try nodes.text(), format: try nodes.text(), description: try nodes.text(),
                        data: Array(try nodes.blob()), tokenCount: try nodes.count())
                }
                let context = try own.text()
                let passages = try Self.passages(&own, nodes: nodes.count)
                let vectors = try (0..<max(1, passages.count)).map { _ in try own.vector() }
                return Command.ImportProject.Unit(
                    nodes: nodes, passages: passages, context: context, vectors: vectors, hasOwnVector: try own.bool())
            }
            return Command.ImportProject.Document(key: key, units: units, metadata: metadata)
        }
        return Command.ImportProject(
            tenant: tenant, project: project, overwrites: overwrites, events: events, hasNodes: hasNodes, documents: documents, publisher: publisher,
            routing: routing, time: time)
    }
}

// MARK: - Fields

extension ByteWriter {
    mutating func list<T>(_ items: [T], _ item: (inout ByteWriter, T) -> Void) {
        varint(UInt64(items.count))
        for one in items { item(&self, one) }
    }

    mutating func optional(_ value: String?) {
        bool(value != nil)
        if let value { text(value) }
    }

    fileprivate mutating func vector(_ values: [Float]) {
        varint(UInt64(values.count))
        floats(values)
    }

    fileprivate mutating func routing(_ routing: Command.Routing) {
        u8(routing.mode.code)
        f64(routing.threshold)
    }

    fileprivate mutating func key(_ record: KeyRecord) {
        u64(record.keyID.rawValue)
        text(record.name)
        text(record.prefix)
        i64(record.createdAt.rawValue)
        raw(record.hash.bytes)
        u64(record.pepper.rawValue)
        u8(record.rule.rawValue)
    }

    fileprivate mutating func role(_ role: RoleAssignment) {
        u64(role.keyID.rawValue)
        text(role.role.rawValue)
        list(role.projects.projects) { $0.text($1) }
    }
}

extension ByteReader {
    mutating func name() throws -> Name { try Name(try text(), field: "name") }

    mutating func list<T>(_ item: (inout ByteReader) throws -> T) throws -> [T] {
        let count = try count(limit: remaining)
        var items: [T] = []
        for _ in 0..<count { items.append(try item(&self)) }
        return items
    }

    mutating func optional() throws -> String? { try bool() ? try text() : nil }

    fileprivate mutating func vector() throws -> [Float] {
        let values = try floats(try count(limit: remaining / 4))
        guard values.allSatisfy(\.isFinite) else { throw ByteError.malformed(at: offset) }
        return values
    }

    fileprivate mutating func routing() throws -> Command.Routing {
        guard let mode = SearchMode(code: try u8()) else { throw ByteError.malformed(at: offset) }
        let threshold = try f64()
        guard threshold.isFinite else { throw ByteError.malformed(at: offset) }
        return Command.Routing(mode: mode, threshold: threshold)
    }

    fileprivate mutating func key(_ tenant: TenantID) throws -> KeyRecord {
        let id = KeyID(rawValue: try u64())
        let (name, prefix) = (try text(), try text())
        let createdAt = Timestamp(rawValue: try i64())
        let hash = try sha256()
        let pepper = PepperID(rawValue: try u64())
        guard let rule = KeyRule(rawValue: try u8()) else { throw ByteError.malformed(at: offset) }
        return KeyRecord(keyID: id, name: name, prefix: prefix, createdAt: createdAt, tenant: tenant, hash: hash, pepper: pepper, rule: rule)
    }

    fileprivate mutating func role() throws -> RoleAssignment {
        let id = KeyID(rawValue: try u64())
        guard let role = Role(rawValue: try text()) else { throw ByteError.malformed(at: offset) }
        return RoleAssignment(keyID: id, role: role, projects: ProjectScope(try list { try $0.text() }))
    }
}

extension SearchMode {
    /// In stored bytes. Never given twice.
    fileprivate var code: UInt8 {
        switch self {
        case .hybrid: 1
        case .semantic: 2
        case .keyword: 3
        }
    }

    fileprivate init?(code: UInt8) {
        guard let mode = Self.allCases.first(where: { $0.code == code }) else { return nil }
        self = mode
    }
}
