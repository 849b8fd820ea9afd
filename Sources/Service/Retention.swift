internal import Access
public import Audit
public import Base
internal import Content
public import Engine
internal import Logging

extension Operations {
    public func retention(project: Name, by caller: Caller) async throws -> RetentionStatus {
        try await perform(.showRetention, project: project, by: caller) { try await database.retention($0.tenant, project: project) }
    }

    /// - Throws: `.invalid`
    public func setRetention(_ settings: RetentionSettings, project: Name, by caller: Caller) async throws -> RetentionStatus {
        try await perform(.setRetention, project: project, by: caller) {
            try await database.setRetention($0.tenant, project: project, settings)
            return try await database.retention($0.tenant, project: project)
        }
    }

    /// - Parameter project: nil: every project that the caller may see, and agents that nobody has heard of.
    /// - Throws: `.projectNotFound`
    public func cleanUp(project: Name?, dryRun: Bool, by caller: Caller) async throws -> CleanupReport {
        try await perform(.cleanUp, project: project, by: caller) { principal in
            guard let project else {
                return try await database.cleanUp(principal.tenant, dryRun: dryRun) { principal.projects.includes($0.text) }
            }
            return try await database.cleanUp(principal.tenant, project: project, dryRun: dryRun)
        }
    }

    /// Erases a key with its history.
    /// - Throws: `.projectNotFound`, `.dataNotFound`
    public func erase(_ key: Name, project: Name, by caller: Caller) async throws -> ErasureReceipt {
        try await perform(.eraseData, project: project, key: key, by: caller) { principal in
            // Who is denied to delete it is denied this the more.
            try refuseDenied(.publishData, project, key, principal, caller)
            return try await receipt(principal, caller) { try await database.erase(principal.tenant, project: project, key: key, by: principal.publisher) }
        }
    }

    /// Erases a project.
    /// - Parameter confirmation: the project's name once more.
    /// - Throws: `.invalid` for another one; `.projectNotFound`
    public func erase(project: Name, confirmation: String?, by caller: Caller) async throws -> ErasureReceipt {
        try await perform(.eraseProject, project: project, by: caller) { principal in
            guard let confirmation, confirmation.utf8.elementsEqual(project.text.utf8) else {
                throw ContexError.invalid(
                    field: "confirm", kind: "value_error", message: "Value error, confirm must be the name of the project: it is erased with all it ever held")
            }
            return try await receipt(principal, caller) { try await database.erase(principal.tenant, project: project, by: principal.publisher) }
        }
    }

    /// The receipt of an erasure, signed, and with a record of its own in the audit trail.
    private func receipt(_ principal: Principal, _ caller: Caller, _ erase: () async throws -> ErasureReceipt) async throws -> ErasureReceipt {
        let done = try await erase()
        guard let signer else { return done }
        let receipt = try signer.sign(done)
        guard let days = auditDays else { return receipt }
        let details = JSONObject([
            ("receipt", .string("\(receipt.number)")), ("key_fingerprint", receipt.keyFingerprint.map(JSONValue.string) ?? .null),
            ("signature", receipt.signatureText.map(JSONValue.string) ?? .null),
        ])
        let action: Action = receipt.key == nil ? .eraseProject : .eraseData
        let draft = AuditDraft(
            kind: .dataDeleted, result: .success, actor: caller.actor(principal), place: caller.place(action), action: action.rawValue,
            project: receipt.project.text, resourceType: receipt.key == nil ? "project" : "data", resourceID: receipt.key?.text ?? receipt.project.text,
            details: JSONPrinter.bytes(.object(details)))
        do {
            try await database.note(principal.tenant, [draft], keptDays: days)
        } catch {
            // What is done is done, and two records of it are there.
            logger.error("the receipt of an erasure is not in the audit trail", metadata: ["erasure": "\(receipt.number)", "reason": "\(error)"])
        }
        return receipt
    }
}
