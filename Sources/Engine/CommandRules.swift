// What a command must be whichever door it comes through: a route, a line of an import, an export document, the command line.
//
// An edge may refuse earlier, with a better account of the place; nothing gets past these, because the engine asks them of every
// command before it works on it. Limits stand in `Limits`, so that both say the same.

internal import Addresses
internal import Attributes
public import Base
internal import Needs

extension RegisterCommand {
    /// The command with its webhook's URL in normal form.
    /// - Throws: `.invalid` naming the field, in the words of the HTTP API.
    public func checked() throws(ContexError) -> RegisterCommand {
        var command = self
        try TextRule.check(needs, field: "data_needs", countMax: Limits.needsPerAgent, scalarsMax: Limits.queryScalars)
        guard AnswerFormat(rawValue: responseFormat) != nil else {
            let names = AnswerFormat.allCases.map { "'\($0.rawValue)'" }
            throw .invalid(
                field: "response_format", kind: "enum",
                message: "Input should be \(names.dropLast().joined(separator: ", ")) or \(names[names.count - 1])")
        }
        if let channel {
            try TextRule.check(channel, field: "notification_channel")
            guard channel.utf8.count <= Limits.channelBytes else {
                throw .invalid(
                    field: "notification_channel", kind: "string_too_long",
                    message: "Value error, notification_channel has \(channel.utf8.count) bytes, at most \(Limits.channelBytes) are allowed")
            }
        }
        if let webhookURL { command.webhookURL = try WebAddress.checked(webhookURL, field: "webhook_url") }
        if let webhookSecret { try TextRule.check(webhookSecret, field: "webhook_secret", scalarsMax: Limits.webhookSecretScalars) }
        if delivery == .webhook, webhookURL == nil {
            throw .invalid(
                field: "webhook_url", kind: "value_error", message: "Value error, webhook_url is required when notification_method='webhook'")
        }
        if let maxTokens, !Limits.contextTokens.contains(maxTokens) {
            let (least, most) = (Limits.contextTokens.lowerBound, Limits.contextTokens.upperBound)
            throw .invalid(field: "max_tokens", kind: "value_error", message: "Value error, max_tokens must be \(least) to \(most)")
        }
        if let diversity, !(0...1).contains(diversity) {
            throw .invalid(field: "diversity", kind: "value_error", message: "Value error, diversity must be 0 to 1")
        }
        try settings.check()
        try TextRule.check(pinned, field: "pinned", countMax: Limits.namedKeys, scalarsMax: Limits.nodeKeyScalars)
        return command
    }
}

extension NeedSettings {
    /// - Throws: `.invalid` naming the field.
    func check() throws(ContexError) {
        if let minSimilarity, !(0...1).contains(minSimilarity) {
            throw .invalid(field: "min_similarity", kind: "value_error", message: "Value error, min_similarity must be 0 to 1")
        }
        if let topK, !(1...Limits.topK).contains(topK) {
            throw .invalid(field: "top_k", kind: "value_error", message: "Value error, top_k must be 1 to \(Limits.topK)")
        }
        if let filter {
            guard filter.utf8.count <= Limits.metadataBytes else {
                throw .invalid(
                    field: "filter", kind: "too_long",
                    message: "Value error, the filter of an agent has \(filter.utf8.count) bytes as JSON, at most \(Limits.metadataBytes) are kept")
            }
            guard let value = try? EventData.parsed(Array(filter.utf8)) else {
                throw .invalid(field: "filter", kind: "value_error", message: "Value error, filter is not JSON")
            }
            do throws(PlacedFault) { _ = try Filter(value) } catch { throw error.contexError }
        }
    }
}

extension PublishCommand {
    /// The texts beside the data; of data, vector and metadata their readers say what is wrong.
    /// - Throws: `.invalid` naming the field, in the words of the HTTP API.
    public func check() throws(ContexError) {
        if let eventType { try TextRule.check(eventType, field: "event_type", scalarsMax: Limits.nameScalars) }
        if let format { try TextRule.check(format, field: "data_format", scalarsMax: Limits.nameScalars) }
    }
}

extension WebAddress {
    /// - Throws: `.invalid` naming `field`, in the words of the HTTP API.
    static func checked(_ text: String, field: String) throws(ContexError) -> String {
        guard text.unicodeScalars.count <= Limits.addressScalars else {
            throw .invalid(field: field, kind: "url_too_long", message: "URL should have at most \(Limits.addressScalars) characters")
        }
        do throws(WebAddressError) {
            return try WebAddress(text).text
        } catch {
            switch error {
            case .scheme: throw .invalid(field: field, kind: "url_scheme", message: "URL scheme should be 'http' or 'https'")
            case .syntax(let reason): throw .invalid(field: field, kind: "url_parsing", message: "Input should be a valid URL, \(reason)")
            }
        }
    }
}
