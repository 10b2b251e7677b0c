package store

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"

	"s2clab/nodes/keys"
)

// prepare makes the statements that write. The first parameter of each is the IMSI.
func (s *Store) prepare() error {
	for _, p := range [...]struct {
		to  **sqlite3.Stmt
		sql string
	}{
		{&s.setSQN, "UPDATE subscriber SET sqn = ?2 WHERE imsi = ?1"},
		{&s.setServer, "UPDATE subscriber SET server = ?2 WHERE imsi = ?1"},
		{&s.deleteGateways, "DELETE FROM gateway WHERE imsi = ?1"},
		{&s.addGateway, "INSERT INTO gateway VALUES (?1, ?2, ?3, ?4, ?5)"},
		{&s.putSubscriber, `INSERT INTO subscriber (imsi, k, op, opc, algorithm, amf, msisdn, barred, rat_types, default_apn, gba, gba_seconds, sqn, server)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, '')
			ON CONFLICT DO UPDATE SET k = ?2, op = ?3, opc = ?4, algorithm = ?5, amf = ?6, msisdn = ?7, barred = ?8, rat_types = ?9,
			default_apn = ?10, gba = ?11, gba_seconds = ?12`},
		{&s.deleteAPNs, "DELETE FROM apn WHERE imsi = ?1"},
		{&s.addAPN, "INSERT INTO apn VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"},
		{&s.remove, "DELETE FROM subscriber WHERE imsi = ?1"},
	} {
		st, _, err := s.db.PrepareFlags(p.sql, sqlite3.PREPARE_PERSISTENT)
		if err != nil {
			return err
		}
		*p.to = st
	}
	return nil
}

// run runs a prepared statement with these parameters: text, octets (nil: NULL),
// integers and booleans.
func run(st *sqlite3.Stmt, params ...any) error {
	for i, p := range params {
		var err error
		switch p := p.(type) {
		case nil:
			err = st.BindNull(i + 1)
		case string:
			err = st.BindText(i+1, p)
		case []byte:
			if p == nil {
				err = st.BindNull(i + 1)
			} else {
				err = st.BindBlob(i+1, p)
			}
		case int64:
			err = st.BindInt64(i+1, p)
		case bool:
			err = st.BindBool(i+1, p)
		default:
			panic(fmt.Sprintf("store: no binding for %T", p))
		}
		if err != nil {
			return err
		}
	}
	err := st.Exec()
	return errors.Join(err, st.ClearBindings()) // keys do not stay in it
}

// load reads all that the file has. What a store would not take is damage.
func (s *Store) load() error {
	entries := map[string]*entry{}
	err := s.rows("SELECT imsi, k, op, opc, algorithm, amf, sqn, msisdn, barred, rat_types, default_apn, gba, gba_seconds, server FROM subscriber",
		func(st *sqlite3.Stmt) error {
			e := &entry{subscriber: Subscriber{
				IMSI:          st.ColumnText(0),
				K:             st.ColumnBlob(1, nil),
				OP:            st.ColumnBlob(2, nil),
				OPc:           st.ColumnBlob(3, nil),
				Algorithm:     Algorithm(st.ColumnText(4)),
				MSISDN:        st.ColumnText(7),
				BarredNon3GPP: st.ColumnBool(8),
				DefaultAPN:    st.ColumnText(10),
				GBA:           GBA{Allowed: st.ColumnBool(11), Lifetime: time.Duration(st.ColumnInt64(12)) * time.Second},
			}, registration: Registration{Server: st.ColumnText(13)}}
			amf, sqn := st.ColumnBlob(5, nil), st.ColumnInt64(6)
			if len(amf) != 2 || sqn < 0 || sqn > int64(keys.MaxSQN) {
				return fmt.Errorf("%w: subscriber %q: an AMF of %d octets and sequence number %d", errDamaged, e.subscriber.IMSI, len(amf), sqn)
			}
			e.subscriber.AMF, e.sqn, e.mark = [2]byte(amf), keys.SQN(sqn), keys.SQN(sqn)
			if st.ColumnType(9) != sqlite3.NULL {
				e.subscriber.RATTypes = []RATType{}
				for word := range strings.FieldsSeq(st.ColumnText(9)) {
					r, ok := ratTypes.value(word)
					if !ok {
						return fmt.Errorf("%w: subscriber %q: RAT-Type %q", errDamaged, e.subscriber.IMSI, word)
					}
					e.subscriber.RATTypes = append(e.subscriber.RATTypes, r)
				}
			}
			entries[e.subscriber.IMSI] = e
			return nil
		})
	if err != nil {
		return err
	}
	of := func(imsi string) (*entry, error) {
		if e := entries[imsi]; e != nil {
			return e, nil
		}
		return nil, fmt.Errorf("%w: something of subscriber %q, who is not there", errDamaged, imsi)
	}
	err = s.rows("SELECT imsi, name, pdn, barred, allocation, host, realm, addresses FROM apn ORDER BY imsi, place", func(st *sqlite3.Stmt) error {
		e, err := of(st.ColumnText(0))
		if err != nil {
			return err
		}
		a := APN{Name: st.ColumnText(1), Barred: st.ColumnBool(3)}
		var known, chosen bool
		a.PDN, known = pdnTypes.value(st.ColumnText(2))
		a.Allocation, chosen = allocations.value(st.ColumnText(4))
		if !known || !chosen {
			return fmt.Errorf("%w: subscriber %q: apn %q", errDamaged, e.subscriber.IMSI, a.Name)
		}
		if a.Gateway, err = gatewayOf(st, 5); err != nil {
			return err
		}
		e.subscriber.APNs = append(e.subscriber.APNs, a)
		return nil
	})
	if err != nil {
		return err
	}
	err = s.rows("SELECT imsi, apn, host, realm, addresses FROM gateway", func(st *sqlite3.Stmt) error {
		e, err := of(st.ColumnText(0))
		if err != nil {
			return err
		}
		g, err := gatewayOf(st, 2)
		if err != nil {
			return err
		}
		if e.registration.Gateways == nil {
			e.registration.Gateways = map[string]Gateway{}
		}
		e.registration.Gateways[st.ColumnText(1)] = g
		return nil
	})
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := errors.Join(e.subscriber.Check(), e.registration.Check()); err != nil {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
	s.entries = entries
	return nil
}

// rows calls row for each row of a query.
func (s *Store) rows(sql string, row func(*sqlite3.Stmt) error) error {
	st, _, err := s.db.Prepare(sql)
	if err != nil {
		return err
	}
	defer st.Close()
	for st.Step() {
		if err := row(st); err != nil {
			return err
		}
	}
	return st.Err()
}

// gatewayOf reads three columns from the one at i on.
func gatewayOf(st *sqlite3.Stmt, i int) (Gateway, error) {
	g := Gateway{Host: st.ColumnText(i), Realm: st.ColumnText(i + 1)}
	for word := range strings.FieldsSeq(st.ColumnText(i + 2)) {
		a, err := netip.ParseAddr(word)
		if err != nil {
			return Gateway{}, fmt.Errorf("%w: %w", errDamaged, err)
		}
		g.Addresses = append(g.Addresses, a)
	}
	return g, nil
}
