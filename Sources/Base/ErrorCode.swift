// The catalogue of refusals: a code for every reason on which a client may act in a way of its own, and for every category one for the
// rest, which has the category's name here. docs/errors.md is this list for its readers, and a test holds the two equal.

/// Why something was refused, as a text that never changes: `X-Contex-Error`, `code` in problem+json.
///
/// A call site says `ContexError(.conflict, ...)`, or a narrower code where somebody who gets it would do something else.
public enum ErrorCode: String, Sendable, CaseIterable {
    // .invalid
    case invalid = "invalid_request"
    case contentRefused = "content_refused"
    case cursorInvalid = "cursor_invalid"
    case vectorRefused = "vector_refused"
    case webhookRefused = "webhook_refused"
    case mediaTypeUnsupported = "media_type_unsupported"
    case codingUnsupported = "content_coding_unsupported"
    // .badRequest
    case badRequest = "bad_request"
    case bodyUnreadable = "body_unreadable"
    case importRefused = "import_refused"
    case projectNotEmpty = "project_not_empty"
    case methodNotAllowed = "method_not_allowed"
    case transferCodingUnsupported = "transfer_coding_unsupported"
    case protocolBroken = "protocol_broken"
    case versionUnsupported = "version_unsupported"
    case operationUnknown = "operation_unknown"
    case upgradeRequired = "upgrade_required"
    case tenantMissing = "tenant_missing"
    case tenantExists = "tenant_exists"
    case tenantNotEmpty = "tenant_not_empty"
    // .unauthenticated
    case keyMissing = "key_missing"
    case keyUnknown = "key_unknown"
    case keyUnconfirmed = "key_unconfirmed"
    case keyExpired = "key_expired"
    case tokenInvalid = "token_invalid"
    case accountInactive = "account_inactive"
    // .forbidden
    case forbidden = "permission_missing"
    case reachExceeded = "reach_exceeded"
    case grantExceeded = "grant_exceeded"
    case originRefused = "origin_refused"
    case hostUnknown = "host_unknown"
    case addressRefused = "address_refused"
    case backupKeyWrong = "backup_key_wrong"
    case tenantForeign = "tenant_foreign"
    case tenantInactive = "tenant_inactive"
    // .notFound
    case notFound = "not_found"
    case pathUnknown = "path_unknown"
    case projectNotFound = "project_not_found"
    case dataNotFound = "data_not_found"
    case versionNotFound = "version_not_found"
    case agentNotFound = "agent_not_found"
    case keyNotFound = "key_not_found"
    case accountNotFound = "account_not_found"
    case endpointNotFound = "endpoint_not_found"
    case deliveryNotFound = "delivery_not_found"
    case roleNotFound = "role_not_found"
    case auditRecordNotFound = "audit_record_not_found"
    case storeNotFound = "store_not_found"
    case tenantNotFound = "tenant_not_found"
    // .conflict
    case conflict
    case agentAmbiguous = "agent_ambiguous"
    case channelTaken = "channel_taken"
    case cursorStale = "cursor_stale"
    case cursorExpired = "cursor_expired"
    case historyTrimmed = "history_trimmed"
    case matchesGone = "matches_gone"
    case lastAdministrator = "last_administrator"
    case roleInUse = "role_in_use"
    case authenticationOff = "authentication_off"
    case portTaken = "port_taken"
    case folderInUse = "folder_in_use"
    case importUnfinished = "import_unfinished"
    case reindexNeeded = "reindex_needed"
    case journalShort = "journal_too_short"
    case folderNotEmpty = "folder_not_empty"
    case tenancyOff = "tenancy_off"
    // .tooLarge
    case tooLarge = "too_large"
    case bodyTooLarge = "body_too_large"
    case batchTooLarge = "batch_too_large"
    case answerTooLarge = "answer_too_large"
    case targetTooLong = "target_too_long"
    case headersTooLarge = "headers_too_large"
    // .limited
    case limited = "limit_reached"
    case rateLimited = "rate_limited"
    case loginsLimited = "logins_limited"
    case numbersExhausted = "numbers_exhausted"
    case quotaExceeded = "quota_exceeded"
    // .unavailable
    case unavailable
    case busy = "server_busy"
    case stopping = "server_stopping"
    case cancelled = "request_cancelled"
    case deadlineExceeded = "deadline_exceeded"
    case modelUnusable = "model_unusable"
    case folderUnusable = "folder_unusable"
    case storeReopening = "store_reopening"
    // .storageFull, .damaged, .bug
    case storageFull = "storage_full"
    case damaged = "data_damaged"
    case quarantined = "project_quarantined"
    case formatUnknown = "format_unknown"
    case bug = "internal_error"

    public var category: ContexError.Category { entry.category }

    /// What it means, in a sentence that is the same whenever it is met.
    public var meaning: String { entry.meaning }

    private var entry: (category: ContexError.Category, meaning: String) {
        switch self {
        case .invalid: (.invalid, "A field of the request is not what it must be")
        case .contentRefused: (.invalid, "The data to publish is over a bound of what a document may be")
        case .cursorInvalid: (.invalid, "The cursor is none that this listing gave")
        case .vectorRefused: (.invalid, "The vector does not fit the project's vectors")
        case .webhookRefused: (.invalid, "The webhook leads where this server does not deliver")
        case .mediaTypeUnsupported: (.invalid, "The Content-Type of the body is not read here")
        case .codingUnsupported: (.invalid, "The Content-Encoding of the body is not read here")

        case .badRequest: (.badRequest, "The request is refused as it stands")
        case .bodyUnreadable: (.badRequest, "What came cannot be read as a request")
        case .importRefused: (.badRequest, "The document to import is not one that may be imported")
        case .projectNotEmpty: (.badRequest, "The project has data, and the import was not told to overwrite it")
        case .methodNotAllowed: (.badRequest, "The path is known, the method is not one of its own")
        case .transferCodingUnsupported: (.badRequest, "The Transfer-Encoding of the body is not read here")
        case .protocolBroken: (.badRequest, "What came is not the binary protocol; the connection ends")
        case .versionUnsupported: (.badRequest, "Client and server speak no version of the binary protocol in common")
        case .operationUnknown: (.badRequest, "The binary protocol of this server has no such operation")
        case .upgradeRequired: (.badRequest, "The path is for WebSocket connections of the subprotocol contex.v1")
        case .tenantMissing: (.badRequest, "The server has several tenants, and the request names none")
        case .tenantExists: (.badRequest, "There is a tenant of this id already")
        case .tenantNotEmpty: (.badRequest, "The tenant has projects or keys, and its removal was not forced")

        case .keyMissing: (.unauthenticated, "The request brings no API key")
        case .keyUnknown: (.unauthenticated, "The API key is nobody's, or was revoked")
        case .keyUnconfirmed: (.unauthenticated, "The API key was made or changed without authentication and waits for an administrator")
        case .keyExpired: (.unauthenticated, "The API key's time is over, or it was rotated")
        case .tokenInvalid: (.unauthenticated, "The bearer token is none of this server's, or its time is over, or what it was issued to is gone")
        case .accountInactive: (.unauthenticated, "The service account is switched off")

        case .forbidden: (.forbidden, "The key's role does not allow this here")
        case .reachExceeded: (.forbidden, "The key is limited to projects, and this reaches beyond them")
        case .grantExceeded: (.forbidden, "More would be given than the giver may do himself")
        case .originRefused: (.forbidden, "The web page that asks may not use this server")
        case .hostUnknown: (.forbidden, "The server does not answer for the host that the request names")
        case .addressRefused: (.forbidden, "The API key may not be used from the address that it came from")
        case .backupKeyWrong: (.forbidden, "The backup is encrypted, and no key was given or one that is not its own")
        case .tenantForeign: (.forbidden, "The API key belongs to another tenant than the one that the request names")
        case .tenantInactive: (.forbidden, "The tenant is switched off")

        case .notFound: (.notFound, "What is named is not there")
        case .pathUnknown: (.notFound, "There is nothing under this path")
        case .projectNotFound: (.notFound, "There is no project of this name")
        case .dataNotFound: (.notFound, "The project has no data under this key")
        case .versionNotFound: (.notFound, "The data has no version of this number")
        case .endpointNotFound: (.notFound, "There is no webhook endpoint of this id")
        case .deliveryNotFound: (.notFound, "Nothing is delivered there, or there is no dead letter of that number")
        case .agentNotFound: (.notFound, "No agent of this id is registered")
        case .keyNotFound: (.notFound, "There is no API key of this id")
        case .accountNotFound: (.notFound, "There is no service account of this id")
        case .auditRecordNotFound: (.notFound, "The audit trail has no record of this id")
        case .roleNotFound: (.notFound, "There is no such role, or the API key has none of its own")
        case .storeNotFound: (.notFound, "The data folder has no store, or an empty one")
        case .tenantNotFound: (.notFound, "There is no tenant of this id")

        case .conflict: (.conflict, "The state does not allow it now")
        case .agentAmbiguous: (.conflict, "Agents of several projects have this id")
        case .channelTaken: (.conflict, "The channel belongs to another project")
        case .cursorStale: (.conflict, "The project was replaced since the listing began")
        case .cursorExpired: (.conflict, "What came after the cursor went because it was old: something was missed")
        case .historyTrimmed: (.conflict, "What is asked for lies before the horizon of the project: retention has let it go")
        case .matchesGone: (.conflict, "The state that a query's pages are of can no longer be read")
        case .lastAdministrator: (.conflict, "The change would leave nobody who can issue keys")
        case .roleInUse: (.conflict, "The role is still given to somebody, or others inherit from it")
        case .authenticationOff: (.conflict, "A key cannot be confirmed while anybody could do it")
        case .portTaken: (.conflict, "Another process listens on the port")
        case .folderInUse: (.conflict, "Another process writes to the data folder")
        case .importUnfinished: (.conflict, "An import into the data folder stopped before its end")
        case .reindexNeeded: (.conflict, "The indexes were made by another model or rule, or are half made")
        case .journalShort: (.conflict, "The journal does not go on from the last backup")
        case .folderNotEmpty: (.conflict, "The folder to restore into has something in it")
        case .tenancyOff: (.conflict, "The server has one tenant only")

        case .tooLarge: (.tooLarge, "It is over a limit of size")
        case .bodyTooLarge: (.tooLarge, "The body is larger than the server accepts")
        case .batchTooLarge: (.tooLarge, "The batch or import has more items than the server accepts")
        case .answerTooLarge: (.tooLarge, "The answer would be larger than the server makes")
        case .targetTooLong: (.tooLarge, "Path and query are longer than the server accepts")
        case .headersTooLarge: (.tooLarge, "The headers are longer or more than the server accepts")

        case .limited: (.limited, "A share of the server is used up")
        case .rateLimited: (.limited, "The caller has asked for this more often than its rate allows")
        case .loginsLimited: (.limited, "Too many logins from this address have failed")
        case .quotaExceeded: (.limited, "The tenant has used up what its plan gives it")
        case .numbersExhausted: (.limited, "The project or tenant has had as many of these as there can ever be")

        case .unavailable: (.unavailable, "The server cannot do it now")
        case .busy: (.unavailable, "The server has as much to do as it takes on")
        case .stopping: (.unavailable, "The server is stopping")
        case .cancelled: (.unavailable, "The work was given up before it was done")
        case .deadlineExceeded: (.unavailable, "The deadline that the request named has passed")
        case .modelUnusable: (.unavailable, "The folder of the embedding model cannot be used")
        case .folderUnusable: (.unavailable, "The data folder cannot be used by this user or on this file system")
        case .storeReopening: (.unavailable, "A write to the disk has failed, and the store is being opened anew")

        case .storageFull: (.storageFull, "The disk does not take what is to be written")
        case .damaged: (.damaged, "Stored data is damaged")
        case .quarantined: (.damaged, "The project's data is damaged: nothing of it is answered or written until it is sound again")
        case .formatUnknown: (.damaged, "The store was written by another version of Contex")
        case .bug: (.bug, "A fault of the server")
        }
    }
}
