package link

// An Observer is shown every frame of every link of an Engine.
type Observer interface {
	// Joined tells of a link before any of its frames: its ends are numbered from
	// first, in their order.
	Joined(link string, ends []string, first int)

	// See shows what happened to a frame. It is called on the thread that carries
	// frames, by one loop at a time for each Sight.Loop: it must be quick, and
	// keep neither the Sight nor its Data.
	See(*Sight)
}

// A Sight is one thing that happened to a frame.
type Sight struct {
	What   What
	Marks  Marks
	Reason Reason // of Dropped, and of Entered where the frame goes no further
	Last   bool   // nothing more will be seen of this frame

	Loop  int    // the engine's loop that saw it, from 0
	Frame uint64 // the same in all sights of a frame; a copy has its own
	From  int    // the end that sent it
	To    int    // Left and Crossed: the end that it was handed to

	At    int64 // CLOCK_MONOTONIC, nanoseconds
	Since int64 // when it entered, or the frame that it is a copy of
	Until int64 // Entered, marked Held: when the aim lets it go on

	// Data is a virtio-net header of 10 octets, then the frame as it was just then.
	Data []byte
}

// What a Sight is of.
type What uint8

// What a Sight can be of.
const (
	Entered What = iota // the end From has sent it
	Left                // it was handed to the end To
	Crossed             // both at once: an unimpaired link between two ends
	Dropped             // it was lost after it had entered
)

// Marks say what the link has done to a frame.
type Marks uint8

// The marks.
const (
	Duplicated Marks = 1 << iota // a copy of it was made
	Copied                       // it is such a copy
	Corrupted                    // a bit was turned over
	Overtook                     // it went on without delay
	Held                         // an aim holds it
	Replayed                     // an aim will send it again, or it is what was sent again
	Injected                     // no node has sent it
)
