// The export of a project, piece by piece: all pieces are of one state (Pages/StateWalk.swift), whatever is published meanwhile, and no piece
// is larger than what was asked for by more than one item. Only agents are as they are when their piece is read.

internal import Attributes
public import Base
internal import Content
internal import Documents
internal import Events
internal import Inboxes
internal import KeySpace
internal import LMDB
internal import Needs
internal import Vectors

/// What an export holds beside its header.
public struct ExportSections: Sendable {
    public enum Section: String, Sendable, CaseIterable { case events, embeddings, agents }

    public var events: Bool
    public var embeddings: Bool
    public var agents: Bool
    public init(events: Bool, embeddings: Bool, agents: Bool) {
        self.events = events
        self.embeddings = embeddings
        self.agents = agents
    }

    /// In the order of the document.
    public var all: [Section] { Section.allCases.filter { $0 == .events ? events : $0 == .embeddings ? embeddings : agents } }
}

/// Some items of one section.
public struct ExportPage: Sendable {
    public let section: ExportSections.Section
    /// JSON, compact.
    public let items: [[UInt8]]
    /// Leads to the rest; nil: the export is whole.
    public let next: ExportCursor?
}

/// Where an export goes on; it does not leave the process.
public struct ExportCursor: Sendable {
    fileprivate enum Place: Sendable {
        case events(after: Sequence)
        case nodes(StateWalk.Place)
        /// Those that are still to come, last first.
        case agents([Name])
        /// A section that has not begun.
        case beginning
    }
    fileprivate let scope: TenantScope?
    fileprivate let pin: LogPin
    fileprivate let section: ExportSections.Section
    fileprivate let place: Place
    /// Behind this one.
    fileprivate let sections: ArraySlice<ExportSections.Section>

    fileprivate func moved(to place: Place) -> ExportCursor { ExportCursor(scope: scope, pin: pin, section: section, place: place, sections: sections) }

    /// At the beginning of the next section.
    fileprivate var behindSection: ExportCursor? {
        sections.first.map { ExportCursor(scope: scope, pin: pin, section: $0, place: .beginning, sections: sections.dropFirst()) }
    }
}

extension Database {
    /// The first, or the next, items of an export: every section that is asked for has at least one page, in the order of the document.
    ///
    /// - Parameters:
    ///   - cursor: of the page before.
    ///   - bytesMax: about so many bytes of items, and at least one item.
    /// - Returns: nil when no section is asked for.
    /// - Throws: `.conflict` when an import replaced the log since the first page.
    public func exportPage(
        _ tenant: TenantID, project: Name, sections: ExportSections, after cursor: ExportCursor? = nil, bytesMax: Int = Limits.exportPieceBytes
    ) async throws -> ExportPage? {
        let cursor = if let cursor { cursor } else { try await beginExport(tenant, project, sections) }
        guard let cursor else { return nil }
        guard let scope = cursor.scope else { return ExportPage(section: cursor.section, items: [], next: cursor.behindSection) }
        switch cursor.section {
        case .events: return try await exportedEvents(scope, cursor, bytesMax)
        case .embeddings: return try await exportedNodes(scope, cursor, bytesMax)
        case .agents: return try await exportedAgents(scope, project, cursor, bytesMax)
        }
    }

    private func beginExport(_ tenant: TenantID, _ project: Name, _ sections: ExportSections) async throws -> ExportCursor? {
        guard let first = sections.all.first else { return nil }
        return try await read { view in
            let scope = try Self.scope(tenant, project, view)
            let pin = try scope.map { scope in
                let log = EventLog(scope: scope)
                return try LogPin(log.head(in: view).sequence, log, in: view)
            }
            return ExportCursor(scope: scope, pin: pin ?? .none, section: first, place: .beginning, sections: sections.all.dropFirst())
        }
    }

    private func exportedEvents(_ scope: TenantScope, _ cursor: ExportCursor, _ bytesMax: Int) async throws -> ExportPage {
        var since = Sequence.zero
        if case .events(let last) = cursor.place { since = last }
        let left = Int(clamping: cursor.pin.sequence.rawValue - min(since.rawValue, cursor.pin.sequence.rawValue))
        let events = try await read { [since] view in
            let log = EventLog(scope: scope)
            try cursor.pin.verify(log, in: view)
            return try log.events(after: since, count: min(left, Self.exportRecordsMax), bytesMax: bytesMax, in: view)
        }
        let items = try await onHeavyPool { events.map(Self.exported) }
        guard let last = events.last?.sequence, last < cursor.pin.sequence else {
            return ExportPage(section: .events, items: items, next: cursor.behindSection)
        }
        return ExportPage(section: .events, items: items, next: cursor.moved(to: .events(after: last)))
    }

    private static let exportRecordsMax = 10_000

    private static func exported(_ event: EventRecord) -> [UInt8] {
        var members = JSONMembers()
        members.add("event_id", .string(event.sequence.description))
        members.add("event_type", .string(event.type))
        members.add("data", text: EventData.visibleText(event))
        members.add("created_at", .string(event.recordedAt.iso8601))
        if let vector = event.vector { members.add("vector", text: numbers(vector)) }
        if !event.metadata.isEmpty { members.add("metadata", text: event.metadata) }
        if let publisher = event.publisher { members.add("published_by", publisher.json) }
        return members.text
    }

    /// The shortest texts that read back as the same floats.
    private static func numbers(_ vector: [Float]) -> [UInt8] { Array("[\(vector.map(\.description).joined(separator: ","))]".utf8) }

    private func exportedNodes(_ scope: TenantScope, _ cursor: ExportCursor, _ bytesMax: Int) async throws -> ExportPage {
        var from = StateWalk.Place.beginning
        if case .nodes(let place) = cursor.place { from = place }
        let dimension = models.dimension
        let walk = StateWalk(scope: scope, pin: cursor.pin, dimension: dimension, wanted: .nodesWithOwnVectors)
        let (piece, _) = try await read { [self, from] view in
            var walk = walk
            walk.over = try over(scope, in: view)
            return try walk.piece(from: from, countMax: .max, bytesMax: bytesMax, in: view)
        }
        return try await onPool(isHeavy: true) { cancellation in
            var filler = PageFiller<[UInt8]>(PageRequest(bytesMax: bytesMax))
            for part in piece.parts {
                for (place, node) in try part.nodes(dimension, cancellation) {
                    if filler.isFull {
                        let next = cursor.moved(to: .nodes(StateWalk.Place(key: part.key, node: place)))
                        return ExportPage(section: .embeddings, items: filler.items, next: next)
                    }
                    let item = Self.exported(node, isFirst: place == 0)
                    filler.add(item, bytes: item.count)
                }
            }
            return ExportPage(section: .embeddings, items: filler.items, next: piece.next.map { cursor.moved(to: .nodes($0)) } ?? cursor.behindSection)
        }
    }

    private static func exported(_ node: PastNodes.Node, isFirst: Bool) -> [UInt8] {
        let record = node.record
        var members = JSONMembers()
        members.add("key", .string(record.nodeKey))
        members.add("data_key", .string(record.documentKey))
        members.add("node_path", .string(record.path))
        members.add("node_type", .string(record.kind))
        members.add("description", .string(record.description))
        members.add("data", text: record.data)
        members.add("data_format", .string(record.format))
        if record.hasOwnVector, let vector = node.vectors.first { members.add("vector", text: numbers(vector)) }
        // The document's, so once is enough.
        if isFirst, !node.attributes.metadata.isEmpty { members.add("metadata", .object(node.attributes.metadata)) }
        return members.text
    }

    /// Secrets stay here: an import must be given them anew.
    private func exportedAgents(_ scope: TenantScope, _ project: Name, _ cursor: ExportCursor, _ bytesMax: Int) async throws -> ExportPage {
        let store = NeedStore(scope: scope)
        var names: [Name]
        if case .agents(let left) = cursor.place { names = left } else { names = try await read { Array(try store.names(in: $0).reversed()) } }
        let (items, left) = try await read { [names] view in
            var (names, items, bytes) = (names, [[UInt8]](), 0)
            while bytes < bytesMax, let name = names.popLast() {
                // It may have gone meanwhile.
                guard let agent = try store.agent(name, in: view) else { continue }
                let told = max(agent.lastSequence, try Inbox(scope: scope, number: agent.inbox).state(in: view).last)
                let item = Self.exported(agent, project, told, keys: try Self.nodeKeys(of: agent, scope, in: view))
                items.append(item)
                bytes += item.count
            }
            return (items, names)
        }
        return ExportPage(section: .agents, items: items, next: left.isEmpty ? cursor.behindSection : cursor.moved(to: .agents(left)))
    }

    private static func exported(_ agent: AgentRecord, _ project: Name, _ told: Sequence, keys: [String]) -> [UInt8] {
        var data = JSONObject([
            ("project_id", .string(project.text)), ("tenant_id", .null), ("needs", .array(agent.needs.map { .string($0) })),
            ("notification_method", .string(agent.delivery == .webhook ? "webhook" : "redis")),
            ("response_format", .string(agent.responseFormat)), ("notification_channel", .string(agent.channel)),
            ("webhook_url", agent.webhookURL.map { .string($0) } ?? .null), ("data_keys", .array(keys.map { .string($0) })),
        ])
        if agent.envelope == .full { data["envelope"] = "full" }
        for (name, value) in agent.settings.members { data[name] = value }
        return JSONPrinter.bytes([
            "agent_id": .string(agent.name.text), "data": .object(data),
            "last_seen": .string(agent.registeredAt.iso8601), "last_sequence": .string(told.description),
        ])
    }
}

/// An export as the bytes of one JSON document, piece by piece.
public struct ExportReader: Sendable {
    private let database: Database
    private let tenant: TenantID
    private let project: Name
    private let sections: ExportSections
    private let style: JSONStyle
    private let time: Timestamp

    private enum Step: Sendable {
        case head
        /// Within a section: whether an item of it was written.
        case section(ExportSections.Section?, hasItems: Bool, ExportCursor?)
        case done
    }
    private var step = Step.head

    init(_ database: Database, _ tenant: TenantID, _ project: Name, _ sections: ExportSections, indented: Bool) {
        self.database = database
        self.tenant = tenant
        self.project = project
        self.sections = sections
        style = indented ? .pretty2 : .compact
        time = database.now()
    }

    /// The next bytes of the document; nil when it is whole. Some hundred kB to a few MB: no less than `Limits.exportPieceBytes` but the last, where
    /// there is so much, and not much more but for a single item that is larger.
    /// - Throws: as `Database.exportPage`; what was given until then is no whole document.
    public mutating func next() async throws -> [UInt8]? {
        switch step {
        case .done: return nil
        case .head:
            step = .section(nil, hasItems: false, nil)
            let head: JSONValue = ["project_id": .string(project.text), "export_timestamp": .double(time.seconds), "version": "1.0", "data": [:]]
            // Without the two braces that close it, and the first that opens the data again.
            let text = JSONPrinter.bytes(head, style: style)
            return Array(text[..<(text.lastIndex(of: UInt8(ascii: "{"))! + 1)]) + (try await page() ?? [])
        case .section: return try await page()
        }
    }

    /// One page of items, with what stands before and behind it.
    private mutating func page() async throws -> [UInt8]? {
        guard case .section(let section, var hasItems, let cursor) = step else { return nil }
        guard let page = try await database.exportPage(tenant, project: project, sections: sections, after: cursor) else {
            step = .done
            return Array((style.isPretty ? "}\n}" : "}}").utf8)
        }
        var bytes: [UInt8] = []
        if page.section != section {
            if section != nil { close(hasItems, into: &bytes) }
            if section != nil { bytes.append(UInt8(ascii: ",")) }
            newline(2, into: &bytes)
            bytes += "\"\(page.section.rawValue)\":\(style.isPretty ? " " : "")[".utf8
            hasItems = false
        }
        let (style, level) = (style, Self.itemLevel)
        let laidOut =
            style == .compact
            ? page.items : try await database.onHeavyPool { page.items.map { JSONPrinter.laidOut(compact: $0, style: style, level: level) } }
        for item in laidOut {
            if hasItems { bytes.append(UInt8(ascii: ",")) }
            newline(Self.itemLevel, into: &bytes)
            bytes += item
            hasItems = true
        }
        guard let next = page.next else {
            close(hasItems, into: &bytes)
            newline(1, into: &bytes)
            bytes.append(UInt8(ascii: "}"))
            newline(0, into: &bytes)
            bytes.append(UInt8(ascii: "}"))
            step = .done
            return bytes
        }
        step = .section(page.section, hasItems: hasItems, next)
        return bytes
    }

    /// Of an item: document, data, section.
    private static let itemLevel = 3

    private func close(_ hasItems: Bool, into bytes: inout [UInt8]) {
        if hasItems { newline(2, into: &bytes) }
        bytes.append(UInt8(ascii: "]"))
    }

    private func newline(_ level: Int, into bytes: inout [UInt8]) {
        guard style.isPretty else { return }
        bytes.append(0x0A)
        bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * level))
    }
}

extension Database {
    /// The export document of a project, with the sections asked for, to be read piece by piece. Sections of an unknown project are empty.
    /// - Parameter indented: by two, as the original does it.
    public func exportReader(_ tenant: TenantID, project: Name, sections: ExportSections, indented: Bool = true) -> ExportReader {
        ExportReader(self, tenant, project, sections, indented: indented)
    }

    /// The whole export document as a value, for formats that are not written piece by piece.
    /// - Parameter bytesMax: of its JSON.
    /// - Throws: `.tooLarge` when it would be larger, before it is.
    public func export(_ tenant: TenantID, project: Name, sections: ExportSections, bytesMax: Int = .max) async throws -> JSONValue {
        var reader = exportReader(tenant, project: project, sections: sections, indented: false)
        var bytes: [UInt8] = []
        while let piece = try await reader.next() {
            guard piece.count <= bytesMax - bytes.count else {
                throw ContexError(.answerTooLarge, "The export is larger than \(bytesMax >> 20) MiB, the most that is written in this format: ask for json")
            }
            bytes += piece
        }
        let document = bytes
        return try await onHeavyPool {
            do throws(JSONParseError) {
                return try JSONParser.parse(document, maximumDepth: Limits.storedNestingDepth + Limits.envelopeLevels)
            } catch {
                throw ContexError.damaged("an export is no JSON: \(error): run 'contex check'")
            }
        }
    }
}
