package contex

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// door stands before the real server: it cuts the first connections when so many bytes of an answer have come through.
func door(t *testing.T, address string, cuts int32, after int64) (string, *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	target, _ := url.Parse(address)
	var opened atomic.Int32
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			bound := int64(1 << 40)
			if opened.Add(1) <= cuts {
				bound = after
			}
			go func() {
				far, err := net.Dial("tcp", target.Host)
				if err != nil {
					near.Close()
					return
				}
				go func() { io.Copy(far, near); far.Close() }()
				io.CopyN(near, far, bound)
				near.Close()
			}()
		}
	}()
	return "http://" + listener.Addr().String(), &opened
}

func TestAttempts(t *testing.T) {
	ctx, name := context.Background(), unique("door")
	if _, err := New(server(t), nil).Project(name).Publish(ctx, "tech", map[string]string{"db": "PostgreSQL", "notes": strings.Repeat("x", 500)}, nil); err != nil {
		t.Fatal(err)
	}
	for _, after := range []int64{1, 100, 700} {
		address, opened := door(t, server(t), 2, after)
		held, err := New(address, &Options{Pause: time.Millisecond}).Project(name).Get(ctx, "tech", "")
		if err != nil || held.Sequence != 1 || opened.Load() < 3 {
			t.Fatalf("after %d bytes: %v, %d connections", after, err, opened.Load())
		}
		address, opened = door(t, server(t), 1_000, after)
		_, err = New(address, &Options{Pause: time.Millisecond}).Project(name).Publish(ctx, "tech", map[string]string{"db": "LMDB", "notes": strings.Repeat("y", 700)}, nil)
		var failure *Error
		if after < 700 && (!errors.As(err, &failure) || !failure.NoAnswer || !failure.MayBeDone || !errors.Is(err, Unavailable) || opened.Load() != 1) {
			t.Fatalf("after %d bytes: %v, %d connections", after, err, opened.Load())
		}
		if _, err := New(server(t), nil).Project(name).Restore(ctx, "tech", 1); err != nil {
			t.Fatal(err)
		}
		name = unique("door")
		if _, err := New(server(t), nil).Project(name).Publish(ctx, "tech", map[string]string{"db": "PostgreSQL", "notes": strings.Repeat("x", 500)}, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNobodyThereAndNoTime(t *testing.T) {
	ctx := context.Background()
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	address := "http://" + listener.Addr().String()
	listener.Close()
	_, err := New(address, &Options{Pause: time.Millisecond, Attempts: 2}).Project("p").Publish(ctx, "k", 1, nil)
	var failure *Error
	if !errors.As(err, &failure) || !failure.NoAnswer || failure.MayBeDone {
		t.Fatal(err)
	}
	agent := New(server(t), &Options{Timeout: 200 * time.Millisecond}).Project(unique("time")).Agent("a")
	if _, err := agent.Register(ctx, []string{"what never comes"}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.Inbox(ctx, "", 1, 30); !errors.As(err, &failure) || failure.Code != "deadline_exceeded" || failure.Passing() {
		t.Fatal(err)
	}
	limited, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := agent.Inbox(limited, "", 1, 30); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	for _, err := range agent.Listen(limited, nil) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
}

// The server is killed in the middle, and the listener itself begins anew again and again: nothing is missed, nothing is out of order.
func TestListeningGoesOn(t *testing.T) {
	wish := os.Getenv("CONTEX_KILL")
	if wish == "" {
		t.Skip("nobody kills the server")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	project := New(server(t), &Options{Pause: 50 * time.Millisecond, Attempts: 8}).Project(unique("kills"))
	agent := project.Agent("a")
	if _, err := agent.Register(ctx, []string{"release notes of the payment service"}, nil); err != nil {
		t.Fatal(err)
	}
	const total = 45
	heard := make(chan []int64)
	go func() {
		var found []int64
		for turn := 0; len(found) == 0 || found[len(found)-1] != total; turn++ {
			for update, err := range agent.Listen(ctx, nil) {
				if err != nil {
					t.Error(err)
					heard <- found
					return
				}
				if len(found) == 0 || update.Sequence != found[len(found)-1] {
					found = append(found, update.Sequence)
				}
				if update.Sequence == total || len(found)%(7+turn%5) == 0 {
					break
				}
			}
		}
		heard <- found
	}()
	for n := 1; n <= total; n++ {
		for {
			_, err := project.Publish(ctx, "k"+string(rune('A'+n)), map[string]any{"text": "release notes of the payment service", "n": n}, nil)
			if err == nil {
				break
			}
			if !errors.Is(err, Unavailable) {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
		}
		if n == 20 {
			os.WriteFile(wish, nil, 0o600)
			for _, err := os.Stat(wish); err == nil; _, err = os.Stat(wish) {
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
	found := <-heard
	seen := int64(0)
	for _, sequence := range found {
		if sequence > seen+1 {
			t.Fatalf("missed what is between %d and %d", seen, sequence)
		}
		seen = max(seen, sequence)
	}
	if seen != total {
		t.Fatal(found)
	}
}

func TestUpdatesAsAChannel(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	project := New(server(t), nil).Project(unique("channel"))
	agent := project.Agent("a")
	if _, err := agent.Register(ctx, []string{"colour: red"}, &RegisterOptions{Mode: "keyword"}); err != nil {
		t.Fatal(err)
	}
	listening, stop := context.WithCancel(ctx)
	updates, why := agent.Updates(listening, nil)
	if _, err := project.Publish(ctx, "c", map[string]string{"colour": "red"}, nil); err != nil {
		t.Fatal(err)
	}
	select {
	case update := <-updates:
		if update.DataKey != "c" || update.Reason != "first_match" || len(update.Needs) != 1 {
			t.Fatal(update)
		}
		if removed, err := agent.Acknowledge(ctx, update.Cursor); err != nil || removed != 1 {
			t.Fatal(removed, err)
		}
	case <-ctx.Done():
		t.Fatal("nothing came")
	}
	stop()
	for range updates {
	}
	if err := why(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := project.Agent("nobody").Show(ctx); !errors.Is(err, NotFound) || errors.Is(err, Conflict) {
		t.Fatal(err)
	}
}

// What the loop went on from is acknowledged, what it broke off at is not.
func TestWhatALoopHasDealtWith(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	project := New(server(t), nil).Project(unique("dealt"))
	agent := project.Agent("a")
	if _, err := agent.Register(ctx, []string{"colour: red"}, &RegisterOptions{Mode: "keyword"}); err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		if _, err := project.Publish(ctx, fmt.Sprint("c", n), map[string]any{"colour": "red", "n": n}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, keep := range []bool{true, false} {
		for update, err := range agent.Listen(ctx, &ListenOptions{KeepCursor: keep}) {
			if err != nil {
				t.Fatal(err)
			}
			if update.DataKey == "c2" {
				break
			}
		}
		page, err := agent.Inbox(ctx, "", 100, 0)
		if wanted := map[bool]int{true: 5, false: 3}[keep]; err != nil || len(page.Entries) != wanted {
			t.Fatal(keep, err, len(page.Entries))
		}
	}
}
