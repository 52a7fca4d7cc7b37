# Double quotes inside an argument, with asterisks; no ports at all; a mount on a hidden directory; copies for ssh.
variable "images" {}
variable "host" {}

job "backup" {
  datacenters = ["dc1"]
  type        = "service"

  group "rsnapshot" {
    task "rsnapshot" {
      driver = "pot"

      restart {
        attempts = 3
        delay    = "30s"
      }

      config {
        image   = var.images
        pot     = "rsnapshot-nomad-amd64-13_1"
        tag     = "1.2.19"
        command = "/usr/local/bin/cook"
        args    = ["-a", "\"40 23 * * 6\""]
        mount = [
          "${var.host}/mnt/rsnapshot:/.snapshots"
        ]
        copy = [
          "${var.host}/root/rsnapshot.conf:/usr/local/etc/rsnapshot.conf",
          "${var.host}/root/.ssh/id_rsa:/root/.ssh/id_rsa",
          "${var.host}/root/.ssh/known_hosts:/root/.ssh/known_hosts"
        ]
      }

      resources {
        cpu    = 1000
        memory = 512
      }
    }
  }
}
