public import Base
internal import Archives

extension BackupFolder.Entry {
    /// The backup that an increment goes on from.
    fileprivate var follows: BackupID? {
        if case .increment(let follows, _, _) = manifest.content { return follows }
        return nil
    }
}

/// The moment that a restore goes back to.
public enum RestoreMoment: Sendable, Equatable {
    /// The last that the newest backup has.
    case latest
    /// After so many commands.
    case position(Position)
    /// After the last command that was proposed until then.
    case time(Timestamp)
}

/// The backups that make a moment: a full one, and increments after it.
struct RestorePlan {
    let full: BackupFolder.Entry
    let increments: [BackupFolder.Entry]
    private let moment: RestoreMoment

    /// - Throws: `.notFound` when no backup has the moment, with those that there are; `.damaged` when one that is needed is missing or cannot be read.
    init(_ folder: BackupFolder, _ moment: RestoreMoment) throws(ContexError) {
        guard let newest = folder.backups.last, folder.damaged.last?.number ?? 0 < newest.number || moment != .latest else {
            throw folder.damaged.last?.error ?? .notFound("there is no backup in \(folder.path)")
        }
        let last: BackupFolder.Entry
        if moment == .latest {
            last = newest
            if let later = folder.backups.first(where: { $0.follows == newest.manifest.id }) {
                throw .damaged("backup \(later.name) follows \(newest.name), which has the higher number: their names are not those that they were given")
            }
        } else {
            // The newest first: where a store was restored and went on, its new past counts.
            guard let found = folder.backups.last(where: { Self.has($0, moment) }) else {
                let names = folder.damaged.isEmpty ? "" : "; \(folder.damaged.count) cannot be read: \(folder.damaged.map(\.name).joined(separator: ", "))"
                throw .notFound("no backup in \(folder.path) has \(Self.text(moment)): they have \(Self.reach(folder))\(names)")
            }
            last = found
        }
        let chain = try folder.chain(to: last)
        full = chain[0]
        increments = Array(chain.dropFirst())
        self.moment = moment
    }

    private static func has(_ entry: BackupFolder.Entry, _ moment: RestoreMoment) -> Bool {
        let manifest = entry.manifest
        switch (moment, manifest.content) {
        case (.latest, _): return true
        case (.position(let position), .full): return position == manifest.to.position
        case (.position(let position), .increment(_, let from, _)): return position > from.position && position <= manifest.to.position
        case (.time(let time), .full): return time >= manifest.to.time && time <= manifest.taken
        case (.time(let time), .increment(_, let from, _)): return time >= from.time && time <= manifest.taken
        }
    }

    /// Whether a command belongs to the state of the moment.
    func takes(_ position: Position, _ time: Timestamp) -> Bool {
        switch moment {
        case .latest: true
        case .position(let last): position <= last
        case .time(let last): time <= last
        }
    }

    static func text(_ moment: RestoreMoment) -> String {
        switch moment {
        case .latest: "a state"
        case .position(let position): "position \(position)"
        case .time(let time): "the state at \(time.iso8601)"
        }
    }

    /// What the backups of a folder reach, a part for each full one.
    static func reach(_ folder: BackupFolder) -> String {
        var spans: [(first: Position, last: Position, until: Timestamp)] = []
        for entry in folder.backups {
            guard case .increment(_, let from, _) = entry.manifest.content, let end = spans.last, end.last == from.position else {
                spans.append((entry.manifest.isFull ? entry.manifest.to.position : .zero, entry.manifest.to.position, entry.manifest.taken))
                continue
            }
            spans[spans.count - 1] = (end.first, entry.manifest.to.position, entry.manifest.taken)
        }
        return spans.map { "\($0.first) to \($0.last) (until \($0.until.iso8601))" }.joined(separator: ", ")
    }
}
