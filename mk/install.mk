# mk/install.mk - where things go

install: programs ## install DESTDIR= PREFIX=
	$(Q)install -d $(DESTDIR)$(PREFIX)/bin
	$(Q)for p in $(PROGRAMS); do install -s -m 0755 $(B)/bin/$$p $(DESTDIR)$(PREFIX)/bin/$$p || exit 1; done
	$(Q)if [ -x $(B)/bin/containerboot ]; then for n in tailpod tailscale; do ln -sf containerboot $(DESTDIR)$(PREFIX)/bin/$$n; done; fi

uninstall: ## remove what install put there
	$(Q)for p in $(PROGRAMS) $(if $(filter containerboot,$(PROGRAMS)),tailpod tailscale); do rm -f $(DESTDIR)$(PREFIX)/bin/$$p; done

.PHONY: install uninstall
