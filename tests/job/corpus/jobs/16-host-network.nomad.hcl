# On the host's network a port_map must not do harm.
variable "images" {}

job "host-network" {
  datacenters = ["dc1"]
  type        = "service"

  group "web" {
    network {
      port "http" {}
    }

    task "web" {
      driver = "pot"

      config {
        image        = var.images
        pot          = "web"
        tag          = "latest"
        command      = "/usr/local/bin/cook"
        network_mode = "host"
        port_map = {
          http = "8080"
        }
      }

      resources {
        cpu    = 100
        memory = 64
      }
    }
  }
}
