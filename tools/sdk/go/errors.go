package contex

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Category says what can be done about an error. It is an error itself, so that errors.Is(err, contex.NotFound) asks for it.
type Category string

const (
	Invalid         Category = "invalid"         // 422: mend the request
	BadRequest      Category = "badRequest"      // 400: mend the request
	Unauthenticated Category = "unauthenticated" // 401: bring a key
	Forbidden       Category = "forbidden"       // 403: ask an administrator
	NotFound        Category = "notFound"        // 404
	Conflict        Category = "conflict"        // 409: what is there has to change first
	TooLarge        Category = "tooLarge"        // 413: ask for less, or in parts
	Limited         Category = "limited"         // 429: after RetryAfter
	Unavailable     Category = "unavailable"     // 503: try again, longer each time
	StorageFull     Category = "storageFull"     // 507: reads go on, nothing was written
	Damaged         Category = "damaged"         // 500: contex check says where
	ServerFault     Category = "bug"             // 500: report it with RequestID
)

func (category Category) Error() string { return "contex: " + string(category) }

// An Error is a refusal of the server, or no answer at all. Act by its Category, or exactly by its Code, which never changes its meaning.
type Error struct {
	Code     string
	Category Category
	// Message is for people, Advice says what to do.
	Message, Advice string
	// Status is 0 when there was no answer.
	Status int
	// RequestID finds the request in the server's log.
	RequestID  string
	RetryAfter time.Duration
	// OldestCursor is, of a cursor that does not work any more, the oldest one that does.
	OldestCursor string
	// Fields says of a request with wrong fields where (loc) and what (msg).
	Fields             []map[string]any
	Candidates         []any
	RequiredPermission string
	Role               string
	// NoAnswer: the server could not be reached, or the connection broke. MayBeDone: the request was sent, so a write may have been done.
	NoAnswer, MayBeDone bool
	cause               error
}

func (failure *Error) Error() string {
	text := "contex: " + failure.Message
	if failure.Code != "" {
		text += " [" + failure.Code
		if failure.RequestID != "" {
			text += ", request " + failure.RequestID
		}
		text += "]"
	}
	if failure.Advice != "" {
		text += ": " + failure.Advice
	}
	return text
}

func (failure *Error) Unwrap() error { return failure.cause }

func (failure *Error) Is(target error) bool {
	category, is := target.(Category)
	return is && category == failure.Category
}

// Passing says whether the same may go better another time.
func (failure *Error) Passing() bool {
	return (failure.Category == Limited || failure.Category == Unavailable) && failure.Code != "deadline_exceeded" && failure.Code != "request_cancelled"
}

// completed gives category and advice by the code; of one that is not known, by the status.
func completed(failure *Error) *Error {
	if known, is := catalogue[failure.Code]; is {
		failure.Category, failure.Advice = known.category, known.advice
	} else if category, is := categoryOfStatus[failure.Status]; is {
		failure.Category = category
	} else if failure.Status >= 500 {
		failure.Category = ServerFault
	} else {
		failure.Category = BadRequest
	}
	return failure
}

func refusal(answer *http.Response, body []byte) *Error {
	var members struct {
		Code, Message      string
		Detail             json.RawMessage
		Errors             []map[string]any
		OldestCursor       string `json:"oldest_cursor"`
		Request            string `json:"request_id"`
		Candidates         []any  `json:"candidates"`
		RequiredPermission string `json:"required_permission"`
		Role               string `json:"your_role"`
	}
	_ = json.Unmarshal(body, &members) // what is no JSON is told as it is
	failure := &Error{
		Code: members.Code, Status: answer.StatusCode, RequestID: members.Request, OldestCursor: members.OldestCursor, Fields: members.Errors,
		Candidates: members.Candidates, RequiredPermission: members.RequiredPermission, Role: members.Role,
	}
	if failure.Code == "" {
		failure.Code = answer.Header.Get("X-Contex-Error")
	}
	if failure.RequestID == "" {
		failure.RequestID = answer.Header.Get("X-Request-ID")
	}
	if json.Unmarshal(members.Detail, &failure.Message) != nil {
		failure.Message = string(members.Detail)
	}
	if failure.Message == "" {
		failure.Message = members.Message
	}
	if failure.Message == "" {
		failure.Message = strings.TrimSpace(string(body[:min(200, len(body))]))
	}
	for _, field := range failure.Fields {
		if context, is := field["ctx"].(map[string]any); is && failure.OldestCursor == "" {
			failure.OldestCursor, _ = context["oldest_cursor"].(string)
		}
	}
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil {
		failure.RetryAfter = time.Duration(seconds) * time.Second
	}
	return completed(failure)
}

func noAnswer(cause error, timedOut bool) *Error {
	var dial *net.OpError
	sent := !(errors.As(cause, &dial) && dial.Op == "dial")
	failure := &Error{NoAnswer: true, MayBeDone: sent, Code: "unavailable", cause: cause}
	switch {
	case timedOut:
		failure.Code, failure.Message = "deadline_exceeded", "no answer in time"
	case sent:
		failure.Message = fmt.Sprintf("the connection to the server was lost: %v", cause)
	default:
		failure.Message = fmt.Sprintf("no connection to the server: %v", cause)
	}
	return completed(failure)
}
