package supervise

import (
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// reap ends the zombies that fall to init when a program inside the lab leaves
// children behind. Processes that this one started are left to those who wait for
// them: they are the ones that are this process's children from their birth.
func reap() {
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	const patience = time.Second // one that is waited for is gone by then
	for range died {
		first := zombies()
		if len(first) == 0 {
			continue
		}
		time.Sleep(patience)
		for pid := range zombies() {
			if first[pid] {
				unix.Wait4(pid, nil, unix.WNOHANG, nil)
			}
		}
	}
}

// zombies are the dead children of this process that nobody has waited for.
func zombies() map[int]bool {
	found := map[int]bool{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		_, rest, ok := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(rest); ok && len(fields) > 1 && fields[0] == "Z" && fields[1] == strconv.Itoa(os.Getpid()) {
			found[pid] = true
		}
	}
	return found
}
