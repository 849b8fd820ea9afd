internal import HTTPAPI

/// What this build is.
public enum Version {
    public static let current = "0.1.0"
    /// The version of the original whose HTTP API is answered.
    public static let httpAPI = HTTPAPIConfiguration.compatibleVersion
}
