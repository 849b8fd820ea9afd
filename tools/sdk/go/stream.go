package contex

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"time"
)

// Of a line of an event stream, in bytes: several times what a document may have.
const lineMax = 64 << 20

type streamEvent struct {
	name, id string
	hasID    bool
	data     []byte
}

// readEvent reads one server-sent event. An error of the connection is returned as it is.
func readEvent(lines *bufio.Reader) (streamEvent, error) {
	var event streamEvent
	any := false
	for {
		var line []byte
		for {
			piece, err := lines.ReadSlice('\n')
			line = append(line, piece...)
			if err == nil {
				break
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				return event, err
			}
			if len(line) > lineMax {
				return event, &Error{Code: "answer_unreadable", Message: "a line of the event stream is longer than any document"}
			}
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			if any {
				return event, nil
			}
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "data":
			if event.data != nil {
				event.data = append(event.data, '\n')
			}
			event.data, any = append(event.data, value...), true
		case "id":
			event.id, event.hasID, any = string(value), true, true
		case "event":
			event.name = string(value)
		}
	}
}

// stream hands on what an event stream brings, until hand says that it is enough. A stream that breaks goes on behind what it last brought.
// idle is called when nothing more waits to be handed on.
func (client *Client) stream(
	ctx context.Context, path, cursor string, given parameters, hand func(cursor string, data []byte) (bool, error), idle func() error,
) error {
	failures := 0
	once := func() (bool, error) {
		connection, cancel := context.WithCancel(ctx)
		defer cancel()
		given["cursor"] = cursor
		request, err := client.request(connection, http.MethodGet, target(path, given), nil, "text/event-stream, application/problem+json")
		if err != nil {
			return true, err
		}
		silence := time.AfterFunc(streamSilence, cancel)
		defer silence.Stop()
		answer, err := client.options.HTTP.Do(request)
		if err != nil {
			return false, nil // the connection: it is opened again
		}
		defer answer.Body.Close()
		if answer.StatusCode >= 300 {
			content, _ := io.ReadAll(answer.Body)
			return false, refusal(answer, content)
		}
		lines := bufio.NewReaderSize(answer.Body, 64<<10)
		for {
			event, err := readEvent(lines)
			var unreadable *Error
			if errors.As(err, &unreadable) {
				return true, err
			} else if err != nil {
				return false, nil
			}
			silence.Reset(streamSilence)
			if event.name == "refused" {
				var members struct {
					Code, Detail string
					OldestCursor string `json:"oldest_cursor"`
				}
				_ = json.Unmarshal(event.data, &members)
				return false, completed(&Error{Code: members.Code, Message: members.Detail, OldestCursor: members.OldestCursor})
			}
			if event.hasID {
				cursor = event.id
			}
			if event.data == nil {
				continue
			}
			failures = 0
			silence.Stop() // how long the reader takes is its own affair
			if enough, err := hand(cursor, event.data); enough || err != nil {
				return true, err
			}
			if lines.Buffered() == 0 {
				if err := idle(); err != nil {
					return true, err
				}
			}
			silence.Reset(streamSilence)
		}
	}
	for {
		over, err := once()
		if over {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var asked time.Duration
		if failure, is := err.(*Error); is {
			if !failure.Passing() {
				return err
			}
			asked = failure.RetryAfter
		}
		failures++
		if err := client.wait(ctx, failures, asked); err != nil {
			return err
		}
	}
}

// ListenOptions are all optional.
type ListenOptions struct {
	// After: begin behind the cursor of an update, instead of with the oldest that is not acknowledged.
	After string
	// KeepCursor: acknowledge nothing; for programs that keep the cursor themselves.
	KeepCursor bool
	// SuppressOwn: leave out what was published with the key that the agent is registered with.
	SuppressOwn bool
}

// Listen is what concerns the agent, as it comes, in order, until the context ends; each update at least once, whatever breaks between.
//
// An update counts as dealt with when the loop asks for the next one, and is then acknowledged. So whoever listens after a restart gets what the
// loop before had not dealt with, and perhaps the last update again. The error, if there is one, comes last.
func (agent *Agent) Listen(ctx context.Context, options *ListenOptions) iter.Seq2[Update, error] {
	set := optional(options)
	return func(yield func(Update, error) bool) {
		given := parameters{}
		if set.SuppressOwn {
			given["suppress_own"] = true
		}
		done := ""
		acknowledge := func() error {
			if set.KeepCursor || done == "" {
				return nil
			}
			_, err := agent.Acknowledge(context.WithoutCancel(ctx), done)
			if errors.Is(err, Unavailable) {
				return nil // it is repeated to whoever listens next, or acknowledged with what comes after it
			}
			done = ""
			return err
		}
		stopped := false
		err := agent.client.stream(ctx, agent.path+"/stream", set.After, given, func(cursor string, data []byte) (bool, error) {
			update := Update{Cursor: cursor}
			if err := json.Unmarshal(data, &update); err != nil {
				return true, err
			}
			if stopped = !yield(update, nil); stopped {
				return true, nil
			}
			done = update.Cursor
			return false, nil
		}, acknowledge)
		if late := acknowledge(); err == nil {
			err = late
		}
		if err != nil && !stopped {
			yield(Update{}, err)
		}
	}
}

// Updates is Listen as a channel, for select. Nothing is acknowledged: call Acknowledge with the cursor of what is dealt with. The channel is
// closed when the context ends or the agent cannot be listened to any more; the function then says why.
func (agent *Agent) Updates(ctx context.Context, options *ListenOptions) (<-chan Update, func() error) {
	set := optional(options)
	set.KeepCursor = true
	updates, why := make(chan Update), make(chan error, 1)
	go func() {
		defer close(updates)
		for update, err := range agent.Listen(ctx, &set) {
			if err != nil {
				why <- err
				return
			}
			select {
			case updates <- update:
			case <-ctx.Done():
				why <- ctx.Err()
				return
			}
		}
		why <- nil
	}()
	return updates, func() error {
		err := <-why
		why <- err
		return err
	}
}

// Follow are the events of the project as they come, until the context ends: behind the cursor of an event, else (with none) from now on; 0-0 is the
// beginning. The error, if there is one, comes last.
func (project *Project) Follow(ctx context.Context, after string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		stopped := false
		err := project.client.stream(ctx, project.path+"/stream", after, parameters{}, func(cursor string, data []byte) (bool, error) {
			event := Event{Cursor: cursor}
			if err := json.Unmarshal(data, &event); err != nil {
				return true, err
			}
			event.Cursor = cursor
			stopped = !yield(event, nil)
			return stopped, nil
		}, func() error { return nil })
		if err != nil && !stopped {
			yield(Event{}, err)
		}
	}
}
