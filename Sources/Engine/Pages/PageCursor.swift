// Where a listing goes on. Whoever asks carries it from answer to answer and need not know what is in it:
//
//     1  version, 1
//     1  which listing
//     4  number of the project, 0 of a listing of the tenant
//     8  the event after which the state is that is listed     (the pin: the whole listing is of one state)
//     8  the first bytes of that event's hash                  (the log may have been replaced since)
//     n  the place to go on at, as the listing has it
//     4  CRC-32C of all before
//
// in base64url without padding. It is no secret and no key: a forged one leads to another place of the same project at most, which its
// bearer may read as well.

public import Base
internal import Events
internal import Hashing
internal import KeySpace
internal import LMDB

/// A state of a project that a later look can be held to: an event and the beginning of its hash.
struct LogPin: Sendable, Equatable {
    let sequence: Sequence
    let mark: UInt64

    static let none = LogPin(sequence: .zero, mark: 0)

    /// - Throws: `.damaged` for an event that is not there.
    init(_ sequence: Sequence, _ log: EventLog, in view: borrowing TransactionView) throws {
        self.sequence = sequence
        guard sequence > .zero else {
            mark = 0
            return
        }
        guard let mark = try Self.mark(sequence, log, in: view) else {
            throw ContexError.damaged("event \(sequence) is missing: run 'contex check'")
        }
        self.mark = mark
    }

    init(sequence: Sequence, mark: UInt64) {
        self.sequence = sequence
        self.mark = mark
    }

    private static func mark(_ sequence: Sequence, _ log: EventLog, in view: borrowing TransactionView) throws -> UInt64? {
        try log.hash(of: sequence, in: view).map { UInt64(firstOf: $0.bytes) }
    }

    /// - Parameter ofEvent: what goes on is about this event alone, and not about the state after it or what came then.
    /// - Throws: `.conflict` when the log is another one by now, or begins later.
    func verify(_ log: EventLog, ofEvent: Bool = false, in view: borrowing TransactionView) throws {
        guard sequence > .zero else { return }
        let horizon = try log.horizon(in: view)
        if sequence < horizon.sequence, try !ofEvent || Self.mark(sequence, log, in: view) == nil {
            throw horizon.refusal("The cursor", epoch: try log.head(in: view).epoch)
        }
        guard try Self.mark(sequence, log, in: view) == mark else {
            throw ContexError(.cursorStale, "The events of the project were replaced by an import since the listing began: begin it again without a cursor")
        }
    }
}

struct PageCursor: Sendable, Equatable {
    enum Listing: UInt8, Sendable {
        case nodes = 1, keys = 2, events = 3, versions = 4, agents = 5, projects = 6, apiKeys = 7, roles = 8, matches = 9
    }
    let listing: Listing
    let project: ProjectID
    let pin: LogPin
    let place: [UInt8]

    private static let version: UInt8 = 1
    /// A key of the store with a number before it, and the head: more was not made here.
    private static let bytesMax = 640

    init(_ listing: Listing, project: ProjectID = .tenantLevel, pin: LogPin = .none, place: [UInt8]) {
        self.listing = listing
        self.project = project
        self.pin = pin
        self.place = place
    }

    var text: String {
        var writer = ByteWriter(capacity: 32 + place.count)
        writer.u8(Self.version)
        writer.u8(listing.rawValue)
        writer.u32(project.rawValue)
        writer.u64(pin.sequence.rawValue)
        writer.u64(pin.mark)
        writer.raw(place)
        writer.u32(CRC32C.of(writer.bytes))
        return Base64URL.encode(writer.bytes)
    }

    /// - Throws: `.invalid` for a text that no answer of this listing has given.
    init(_ text: String, of listing: Listing, project: ProjectID = .tenantLevel) throws(ContexError) {
        let refusal = ContexError.invalid(
            .cursorInvalid, field: "cursor", kind: "value_error",
            message: "Value error, cursor is none that this listing gave: take it from next_cursor or X-Next-Cursor as it is, or begin without one")
        guard text.utf8.count <= Self.bytesMax * 4 / 3 + 4, let bytes = Base64URL.decode(text), bytes.count >= 26 else { throw refusal }
        var reader = ByteReader(bytes)
        do {
            let (version, kind, number) = (try reader.u8(), try reader.u8(), try reader.u32())
            pin = LogPin(sequence: Sequence(rawValue: try reader.u64()), mark: try reader.u64())
            place = Array(try reader.raw(reader.remaining - 4))
            let sum = try reader.u32()
            guard version == Self.version, kind == listing.rawValue, number == project.rawValue, sum == CRC32C.of(Array(bytes.dropLast(4))) else {
                throw refusal
            }
        } catch {
            throw refusal
        }
        self.listing = listing
        self.project = project
    }
}

/// What part of a listing is wanted.
public struct PageRequest: Sendable {
    /// Items at most; nil: as many as `bytesMax` allows.
    public var limit: Int?
    /// Of the answer before; nil: from the beginning.
    public var cursor: String?
    /// Bytes of the items as they are rendered, at least one item however large.
    public var bytesMax: Int

    public init(limit: Int? = nil, cursor: String? = nil, bytesMax: Int = Limits.answerBytes) {
        self.limit = limit
        self.cursor = cursor
        self.bytesMax = bytesMax
    }
}

extension PageRequest {
    /// What is listed of a registry, which holds so little that all of it is read.
    public enum Registry: Sendable { case keys, roles }

    /// A part of all. When what was given last has gone, the page begins where that stood.
    /// - Throws: `.invalid` for a cursor of another listing.
    public func page<Item>(
        of all: [Item], _ registry: Registry, id: (Item) -> UInt64, bytes: (Item) -> Int
    ) throws(ContexError) -> Page<Item> {
        let listing = registry == .keys ? PageCursor.Listing.apiKeys : .roles
        var start = 0
        if let cursor {
            var reader = ByteReader(try PageCursor(cursor, of: listing).place)
            guard let last = try? reader.u64(), let place = try? reader.u32() else { throw ContexError(.bug, "a cursor of keys without a place") }
            start = all.firstIndex { id($0) == last }.map { $0 + 1 } ?? min(Int(place), all.count)
        }
        var filler = PageFiller<Item>(self)
        for (place, item) in all.enumerated().dropFirst(start) {
            if filler.isFull {
                var writer = ByteWriter()
                writer.u64(filler.items.last.map(id) ?? 0)
                writer.u32(UInt32(place - 1))
                return Page(items: filler.items, next: PageCursor(listing, place: writer.bytes).text)
            }
            filler.add(item, bytes: bytes(item))
        }
        return Page(items: filler.items, next: nil)
    }
}

/// A part of a listing.
public struct Page<Item: Sendable>: Sendable {
    public var items: [Item]
    /// Leads to the rest; nil: there is none.
    public var next: String?

    public init(items: [Item], next: String?) {
        self.items = items
        self.next = next
    }
}

/// Gathers the items of a page until it is full.
struct PageFiller<Item: Sendable>: Sendable {
    private(set) var items: [Item] = []
    private var bytes = 0
    private let countMax: Int
    private let bytesMax: Int

    init(_ request: PageRequest) {
        countMax = request.limit ?? .max
        bytesMax = request.bytesMax
    }

    /// Room for one more, whatever its size: items are a little over the bound together, never by more than one.
    var isFull: Bool { items.count >= countMax || bytes >= bytesMax }
    var bytesLeft: Int { max(0, bytesMax - bytes) }
    var countLeft: Int { countMax - items.count }

    mutating func add(_ item: Item, bytes size: Int) {
        items.append(item)
        bytes += size
    }
}
