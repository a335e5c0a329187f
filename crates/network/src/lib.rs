//! Container networking: bridge driver, addresses, firewall, published ports.
