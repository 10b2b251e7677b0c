package link

import (
	"fmt"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A LoopReport says how well a loop of the relay could keep its times.
type LoopReport struct {
	RealTime bool          `json:"real-time"`     // it has real-time priority
	Why      string        `json:"why,omitempty"` // it has not
	Links    int           `json:"links"`
	Frames   uint64        `json:"frames"` // read from ports
	Late     Lateness      `json:"late"`   // of all frames that had to wait for a time
	Spun     time.Duration `json:"spun"`   // spent waiting awake, in all
}

// A loop is a thread that carries the frames of some links. All that belongs to
// these links is the loop's alone; others have it do things by do.
type loop struct {
	number   int
	clock    clock
	observer Observer
	normal   bool // no real-time priority is wanted

	epoll, wake int // file descriptors
	ends        []*end
	timers      timers
	pool        pool
	scratch     *frame // what is read next goes here
	ids         uint64
	sight       Sight
	targets     []*end
	late        histogram
	frames      uint64
	links       int

	realTime bool
	why      string
	margin   int64 // how long before a time the thread wakes, to be awake then
	spun     int64
	budget   int64 // of spinning, nanoseconds
	budgetAt int64
	crowded  int // wakings in quick succession
	carried  int // octets since the last one
	waking   waking

	mu      sync.Mutex
	posted  []func()
	ended   bool
	done    chan struct{}
	started chan struct{}
	hits    *teller
}

// Waiting awake costs processor time, so it is bounded: at most one part in
// spinShare of all time, and what is saved up of it.
const (
	minMargin  = 15_000  // ns
	maxMargin  = 120_000 // ns
	spinShare  = 5
	spinSaved  = 2_000_000 // ns
	readBudget = 64        // frames from one port before others have their turn
)

// realTimePriority is the lowest: the loop need only be ahead of ordinary threads.
const realTimePriority = 1

func (l *loop) open() error {
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(l.epoll)
		return fmt.Errorf("eventfd: %w", err)
	}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1}); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// do has the loop do f, and returns when it has. After the loop has ended, f is
// done by the caller.
func (l *loop) do(f func()) {
	done := make(chan struct{})
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		<-l.done
		l.mu.Lock()
		defer l.mu.Unlock()
		f()
		return
	}
	l.posted = append(l.posted, func() { f(); close(done) })
	l.mu.Unlock()
	one := [8]byte{7: 1}
	unix.Write(l.wake, one[:])
	<-done
}

// run is the loop's thread.
func (l *loop) run() {
	runtime.LockOSThread() // for good: the thread ends with the loop
	defer close(l.done)
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	l.priority()
	l.margin = 50_000
	l.budgetAt = l.clock.now()
	l.scratch = l.pool.get(largeSize)
	close(l.started)
	var events [64]unix.EpollEvent
	for {
		now := l.clock.now()
		if len(l.timers) > 0 && l.timers[0].at <= now {
			l.due(now)
		}
		next := int64(never)
		if len(l.timers) > 0 {
			next = l.timers[0].at
		}
		n := l.wait(events[:], next)
		for i := range events[:n] {
			if events[i].Fd < 0 {
				if l.orders() {
					return
				}
				continue
			}
			if e := l.ends[events[i].Fd]; e != nil {
				l.ready(e, events[i].Events)
			}
		}
	}
}

// priority asks for real-time priority and remembers the answer.
func (l *loop) priority() {
	if l.normal {
		l.why = "not asked for"
		return
	}
	const resetOnFork = 1 // threads that the Go runtime starts from this one are ordinary
	err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Flags: resetOnFork, Priority: realTimePriority}, 0)
	if l.realTime = err == nil; !l.realTime {
		l.why = fmt.Sprintf("the kernel does not allow it: %v", err)
	}
}

// orders does what others have asked for, and says whether the loop is to end.
func (l *loop) orders() (end bool) {
	var count [8]byte
	unix.Read(l.wake, count[:])
	l.waking.answer()
	l.mu.Lock()
	posted := l.posted
	l.posted = nil
	end = l.ended
	l.mu.Unlock()
	for _, f := range posted {
		f()
	}
	return end
}

// close ends the loop.
func (l *loop) close() {
	l.mu.Lock()
	ended := l.ended
	l.ended = true
	l.mu.Unlock()
	if ended {
		return
	}
	one := [8]byte{7: 1}
	unix.Write(l.wake, one[:])
	<-l.done
	unix.Close(l.epoll)
	unix.Close(l.wake)
}

// Small frames that come one by one in quick succession would wake the thread for
// each, and that would cost more than carrying them. After crowd wakings with
// less than crowdGap of sleep before each, the thread naps before it looks again,
// and frames gather, until they come more slowly: what network cards call
// interrupt coalescing.
const (
	crowd      = 64
	crowdGap   = 15_000 // ns
	crowdNap   = 30_000 // ns
	crowdSmall = 16384  // octets carried at a waking, at most
)

// gather waits for what is ready, without a time to be kept.
func (l *loop) gather(events []unix.EpollEvent, now, next int64) int {
	small := l.carried <= crowdSmall
	l.carried = 0
	if !small {
		l.crowded = 0
	}
	if l.crowded >= crowd && next-now > crowdNap+maxMargin {
		nap := unix.NsecToTimespec(crowdNap)
		unix.Syscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&nap)), 0, 0)
		if n := l.poll(events); n > 0 {
			return n
		}
		l.crowded = 0
	}
	return 0
}

// wait returns when a file descriptor is ready, or at the time next: it sleeps
// until shortly before, and then stays awake while its budget lasts.
func (l *loop) wait(events []unix.EpollEvent, next int64) int {
	now := l.clock.now()
	if n := l.gather(events, now, next); n > 0 {
		return n
	}
	if next == never {
		n := l.sleep(events, now, -1)
		if l.waking.woke-now < crowdGap {
			l.crowded++
		} else {
			l.crowded = 0
		}
		return n
	}
	l.budget = min(l.budget+(now-l.budgetAt)/spinShare, spinSaved)
	l.budgetAt = now
	margin := l.margin
	if l.budget < margin {
		margin = 0
	}
	if sleep := next - margin - now; sleep > 0 {
		n := l.sleep(events, now, sleep)
		if n != 0 {
			return n
		}
		woke := l.waking.woke
		if margin > 0 { // aim to wake as long before the time as waking has been late, and half as much again
			late := woke - now - sleep
			l.margin = min(max(l.margin+(late*3/2+minMargin-l.margin)/8, minMargin), maxMargin)
		}
		now = woke
	}
	if margin == 0 {
		return 0
	}
	begin := now
	n := 0
	for now < next && n == 0 {
		n = l.poll(events)
		now = l.clock.now()
	}
	l.budget -= now - begin
	l.spun += now - begin
	return n
}

// poll looks for what is ready, without sleeping.
func (l *loop) poll(events []unix.EpollEvent) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// sleep waits for so many nanoseconds, or without end where they are negative,
// from now.
func (l *loop) sleep(events []unix.EpollEvent, now, ns int64) int {
	n := l.block(events, ns)
	l.waking.slept, l.waking.woke, l.waking.fresh = now, l.clock.now(), n > 0
	return n
}

// block is the system call of sleep. The thread leaves its Go processor to others
// meanwhile.
func (l *loop) block(events []unix.EpollEvent, ns int64) int {
	timeout := unix.NsecToTimespec(ns)
	t := &timeout
	if ns < 0 {
		t = nil
	}
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(l.epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(unsafe.Pointer(t)), 0, 0)
	if errno == unix.ENOSYS { // before Linux 5.11
		set := unix.PollFd{Fd: int32(l.epoll), Events: unix.POLLIN}
		unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&set)), 1, uintptr(unsafe.Pointer(t)), 0, 0, 0)
		return l.poll(events)
	}
	if errno != 0 {
		return 0
	}
	return int(n)
}

// due carries what is due at now.
func (l *loop) due(now int64) {
	for range readBudget {
		if len(l.timers) == 0 || l.timers[0].at > now {
			return
		}
		e := l.timers[0]
		if f := e.lane.pop(now); f != nil {
			l.carryDue(f)
		}
		l.schedule(e)
	}
}

// schedule puts an end where its next time says.
func (l *loop) schedule(e *end) { l.timers.set(e, e.lane.next()) }

// ready carries what a port has to give. A port that is ready for ever, with nothing
// to give, has gone. One that was ready for an error which SetCarrier has taken before
// the loop could is well.
func (l *loop) ready(e *end, events uint32) {
	const gone = unix.EPOLLERR | unix.EPOLLHUP // the bits of poll, too
	if l.receive(e) > 0 || e.gone != nil || events&gone == 0 {
		return
	}
	now := []unix.PollFd{{Fd: int32(e.fd)}}
	if n, _ := unix.Poll(now, 0); n > 0 && now[0].Revents&gone != 0 && l.receive(e) == 0 && e.gone == nil {
		l.lose(e, unix.EPIPE)
	}
}

// lose takes an end's port out of the loop, because its device is gone.
func (l *loop) lose(e *end, why error) {
	e.gone = fmt.Errorf("read from the device of %s: %w", e.node, why)
	unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, e.fd, nil)
}

// receive carries what a port has to give, and tells how often it gave something,
// be it an error.
func (l *loop) receive(e *end) (n int) {
	for n = range readBudget {
		buf := l.scratch.buf
		size, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(e.fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
		if errno == 0 && size == 0 {
			errno = unix.EPIPE // whoever was there has gone
		}
		switch errno {
		case 0:
		case unix.EAGAIN:
			return n
		case unix.EINTR, unix.ENETDOWN, unix.ENOBUFS:
			continue
		default:
			l.lose(e, errno)
			return n
		}
		now := l.waking.entered(l.clock.now())
		l.frames++
		l.carried += int(size)
		l.scratch.data = buf[:size]
		e.link.arrived(e, l.scratch, now)
		if len(l.timers) > 0 && l.timers[0].at <= now {
			l.due(now)
		}
	}
	return n
}

// write hands a frame to a port.
func (l *loop) write(fd int, data []byte) bool {
	for range 3 {
		_, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(data))), uintptr(len(data)))
		switch errno {
		case 0:
			return true
		case unix.EINTR, unix.EAGAIN:
		default:
			return false
		}
	}
	return false
}

// keep gives a frame that may be held: f itself, or where f is only what was read
// last, a frame with its contents. Nil: there is no memory for it.
func (l *loop) keep(f *frame) *frame {
	if f != l.scratch {
		return f
	}
	if len(f.data) <= sizes[len(sizes)-2] {
		return l.pool.copy(f)
	}
	next := l.pool.get(largeSize)
	if next == nil {
		return nil
	}
	l.scratch = next
	return f
}

// release gives back a frame that has gone its way.
func (l *loop) release(f *frame) {
	if f != l.scratch {
		l.pool.put(f)
	}
}

// timers has the end first that has the earliest time.
type timers []*end

// set gives an end its time; never takes it out.
func (t *timers) set(e *end, at int64) {
	switch {
	case e.place < 0 && at == never:
		return
	case e.place < 0:
		e.place = len(*t)
		*t = append(*t, e)
	case at == never:
		s := *t
		last := s[len(s)-1]
		s[len(s)-1] = nil
		*t = s[:len(s)-1]
		if last != e {
			(*t)[e.place] = last
			last.place = e.place
			t.move(last)
		}
		e.place = -1
		return
	}
	e.at = at
	t.move(e)
}

// move restores the order around an end.
func (t timers) move(e *end) {
	i := e.place
	for i > 0 && e.at < t[(i-1)/2].at {
		t[i] = t[(i-1)/2]
		t[i].place = i
		i = (i - 1) / 2
	}
	for {
		c := 2*i + 1
		if c >= len(t) {
			break
		}
		if c+1 < len(t) && t[c+1].at < t[c].at {
			c++
		}
		if e.at <= t[c].at {
			break
		}
		t[i] = t[c]
		t[i].place = i
		i = c
	}
	t[i] = e
	e.place = i
}
